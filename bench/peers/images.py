"""The first images of a data set's training split in file order, as uint8 [image, channel, row, column], and labels."""

import gzip
import io
import pathlib
import tarfile

import numpy
from PIL import Image


def read_idx(path):
    """An IDX file of bytes (http://yann.lecun.com/exdb/mnist): its magic number ends in the number of extents."""
    data = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    extents = numpy.frombuffer(data, ">i4", data[3], 4)
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * data[3]).reshape(extents)


def read_idx_set(folder, count):
    images, labels = (
        read_idx(next(path for path in (folder / name, folder / (name + ".gz")) if path.exists()))[:count]
        for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
    )
    return images[:, None], labels


def read_tar_of_classes(archive, count):
    """train/CLASS/NAME.jpg, in the order of the paths; classes are numbered by name."""
    with tarfile.open(archive) as tar:
        files = {file.name.removeprefix("./"): file for file in tar.getmembers() if file.isfile()}
        paths = sorted(path for path in files if path.startswith("train/"))
        classes = sorted({path.split("/")[1] for path in paths})
        images = [
            numpy.asarray(Image.open(io.BytesIO(tar.extractfile(files[path]).read())).convert("RGB"))
            for path in paths[:count]
        ]
    labels = numpy.array([classes.index(path.split("/")[1]) for path in paths[:count]])
    return numpy.stack(images).transpose(0, 3, 1, 2), labels


def read_set(data_folder, name, count):
    folder = pathlib.Path(data_folder) / name
    archives = sorted(folder.glob("*.tar*"))
    if (list(folder.glob("train-images*"))):
        images, labels = read_idx_set(folder, count)
    elif archives:
        images, labels = read_tar_of_classes(archives[0], count)
    else:
        raise SystemExit(f"{folder}: neither IDX files nor a tar archive of images")
    if len(images) < count:
        raise SystemExit(f"{folder}: {count} images wanted, {len(images)} there")
    return images, labels.astype(numpy.int64)


def preprocess(images, steps):
    """The file's "preprocess" in float32, step by step as lenet-flow computes it."""
    values = images.astype(numpy.float32)
    for step in [{"type": "scale", "by": 1 / 255}] if steps is None else steps:
        if step["type"] == "scale":
            values *= numpy.float32(step["by"])
        elif step["type"] == "normalize":
            mean, deviation = (numpy.array(step[key], numpy.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
            values = (values - mean) / deviation
        else:
            raise SystemExit(f"data.preprocess: '{step['type']}' is not known here")
    return values
