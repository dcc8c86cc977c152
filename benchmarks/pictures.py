"""The pictures of the documentation, drawn by the library itself, and from a record of its speed.

    python -m benchmarks.pictures [FOLDER] [--out docs/pictures] [--width PX]

Without a folder they show generated scenes; with one in Kaggle's layout (``train_v2.csv`` and ``train-jpg/``) its own.
The same command gives the same files, under the same versions of the libraries.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from benchmarks._rates import rate_against_batch_size
from benchmarks._records import RESULTS, read_records
from skdeep.datasets import load_planet, make_aerial_scenes
from skdeep.images import Augmentation, Geometry, as_images

Pixels = NDArray[np.uint8]
Save = Callable[[Image.Image, Path], None]

OUT = Path(__file__).parent.parent / "docs" / "pictures"
_INCHES = 12  # width of a grid, for which its letters are chosen
_SIDE = 160  # of each scene, in pixels
_CHOICE = 20  # scenes to choose from
_SEED = 4


def augmented_views(folder: str | None = None) -> Figure:
    """A grid: scenes, and views of them as training sees them."""
    n_scenes, n_views = 2, 7
    scenes = _scenes(folder, n_scenes)
    figure = _figure(6.5)
    grid = figure.subplots(2 * n_scenes, 1 + n_views, squeeze=False)
    generator = torch.Generator().manual_seed(_SEED)
    for i, name in enumerate(("top_down", "side_on")):
        for j, scene in enumerate(scenes):
            row = grid[i * n_scenes + j]
            batch = torch.from_numpy(scene).permute(2, 0, 1).expand(n_views, 3, *scene.shape[:2])
            views = Augmentation(name)(batch, generator).permute(0, 2, 3, 1).numpy()
            for axes, picture in zip(row, [scene, *views], strict=True):
                _show(axes, picture)
            row[0].set_ylabel(f'"{name}"', fontsize=14)
    grid[0, 0].set_title("original", fontsize=14)
    for k in range(n_views):
        grid[0, 1 + k].set_title(f"view {k + 1}", fontsize=14)
    return figure


def odd_formats(folder: str | None = None) -> Figure:
    """A grid: one scene, saved in many formats and modes, and decoded by the library."""
    scene = Image.fromarray(_scenes(folder, 1)[0])
    figure = _figure(7.6)
    grid = figure.subplots(3, 6).ravel()
    with tempfile.TemporaryDirectory() as scratch:
        for axes, (name, (suffix, save)) in zip(grid, FORMATS.items(), strict=True):
            path = Path(scratch) / f"scene{suffix}"
            save(scene, path)
            with Image.open(path) as file:
                mode = file.mode
            _show(axes, _decoded([str(path)])[0])
            axes.set_title(f"{name}\nmode {mode}", fontsize=12)
    return figure


def _saved(mode: str = "RGB", **options: Any) -> Save:
    """Save in a mode, under options of Pillow's."""
    return lambda scene, path: scene.convert(mode).save(path, **options)


def _turned(scene: Image.Image, path: Path) -> None:
    """Lie the picture on its side, and let the file say so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    scene.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def _palette_with_hole(scene: Image.Image, path: Path) -> None:
    indices = scene.quantize(255)
    # a loud colour, which nobody must see
    indices.putpalette([*(indices.getpalette() or [])[: 255 * 3], 255, 0, 255])
    ImageDraw.Draw(indices).ellipse(_middle(scene), fill=255)
    indices.save(path, transparency=255)


def _faded(mode: str) -> Save:
    """Let the picture fade to the right: a third opaque, a third half, a third transparent."""

    def save(scene: Image.Image, path: Path) -> None:
        scene = scene.convert(mode)
        opacity = Image.fromarray(np.array([[255, 128, 0]], dtype=np.uint8))
        scene.putalpha(opacity.resize(scene.size, Image.Resampling.NEAREST))
        scene.save(path)

    return save


def _sixteen_bits(scene: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257).save(path)


def _animated(scene: Image.Image, path: Path) -> None:
    scene.save(path, save_all=True, append_images=[ImageOps.invert(scene)], duration=500)


FORMATS: dict[str, tuple[str, Save]] = {
    "JPEG": (".jpg", _saved()),
    "JPEG, progressive": (".jpg", _saved(progressive=True)),
    "JPEG, turned by EXIF": (".jpg", _turned),
    "JPEG, CMYK": (".jpg", _saved("CMYK")),
    "JPEG, grey": (".jpg", _saved("L")),
    "WebP, animated": (".webp", _animated),
    "PNG, palette": (".png", lambda scene, path: scene.quantize(64).save(path)),
    "PNG, palette and hole": (".png", _palette_with_hole),
    "PNG, alpha": (".png", _faded("RGB")),
    "PNG, grey and alpha": (".png", _faded("L")),
    "PNG, grey, 16 bits": (".png", _sixteen_bits),
    "PNG, 1 bit": (".png", _saved("1")),
    "TIFF, LZW": (".tif", _saved(compression="tiff_lzw")),
    "TIFF, CMYK": (".tif", _saved("CMYK")),
    "TIFF, 4 bands": (".tif", _saved("RGBX")),
    "TIFF, grey, 16 bits": (".tif", _sixteen_bits),
    "GIF, two frames": (".gif", _animated),
    "BMP": (".bmp", _saved()),
}

PICTURES: dict[str, Callable[[str | None], Figure]] = {
    "augmented-views": augmented_views,
    "odd-formats": odd_formats,
    "rate-against-batch-size": lambda _: rate_against_batch_size(read_records(RESULTS / "speed-batch-size.jsonl")[-1]),
}


def main(argv: Sequence[str] | None = None) -> list[Path]:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="scenes in Kaggle's layout; generated ones if left out")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="where the PNG files go")
    parser.add_argument("--width", type=int, default=1200, metavar="PX", help="of each picture (default: 1200)")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in PICTURES.items():
        path = arguments.out / f"{name}.png"
        _write(draw(arguments.folder), path, arguments.width)
        written.append(path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    return written


def _scenes(folder: str | None, n_scenes: int) -> Pixels:
    """The scenes with most tags among the first few, for there is most to see: (n_scenes, height, width, 3)."""
    if folder is None:
        scenes = make_aerial_scenes(_CHOICE, image_size=_SIDE, random_state=_SEED)
    else:
        scenes = load_planet(folder)
    chosen = np.argsort(-scenes.target[:_CHOICE].sum(axis=1), kind="stable")[:n_scenes]
    return scenes.data[chosen] if folder is None else _decoded([scenes.data[row] for row in chosen])


def _decoded(paths: Sequence[str]) -> Pixels:
    """What the library makes of files, of shape (n_paths, height, width, 3)."""
    images, geometry = as_images(paths), Geometry((_SIDE, _SIDE))
    pictures = [images.pixels(row, geometry) for row in range(len(images))]
    return torch.stack(pictures).permute(0, 2, 3, 1).numpy()


def _middle(scene: Image.Image) -> tuple[float, float, float, float]:
    """The box around the middle of a scene, half as wide and high."""
    return scene.width / 4, scene.height / 4, scene.width * 3 / 4, scene.height * 3 / 4


def _figure(height: float) -> Figure:
    return Figure(figsize=(_INCHES, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.08))


def _show(axes: Axes, picture: Pixels) -> None:
    axes.imshow(picture)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color("0.7")


def _write(figure: Figure, path: Path, width: int) -> None:
    """Write a figure as a PNG of 256 colours, less than half as large as one of all."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=width / figure.get_figwidth())
    Image.open(drawn).convert("RGB").quantize(256, kmeans=2).save(path, optimize=True)


if __name__ == "__main__":
    main()
