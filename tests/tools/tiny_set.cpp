#include "tests/tools/tiny_set.h"

#include <cstdint>

namespace lenet_flow::test {
namespace {

std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

/// A bright quarter in one of the four corners (by the label), and a little noise that differs from image to image.
std::string pixels(int image, int label, int side) {
  std::string bytes;
  const int half = side / 2;
  for (int row = 0; row < side; ++row)
    for (int column = 0; column < side; ++column) {
      const bool bright = row / half == label % 4 / 2 && column / half == label % 2;
      bytes += static_cast<char>((bright ? 200 : 10) + (image * 31 + row * 7 + column * 13 + label) % 40);
    }
  return bytes;
}

void write_split(const std::string& prefix, int images, int side, int classes) {
  const auto count = static_cast<std::uint32_t>(images), extent = static_cast<std::uint32_t>(side);
  std::string image_file = big_endian(0x803) + big_endian(count) + big_endian(extent) + big_endian(extent);
  std::string label_file = big_endian(0x801) + big_endian(count);
  for (int image = 0; image < images; ++image) {
    const int label = image * 7 % classes;
    image_file += pixels(image, label, side);
    label_file += static_cast<char>(label);
  }
  write_text(prefix + "-images-idx3-ubyte", image_file);
  write_text(prefix + "-labels-idx1-ubyte", label_file);
}

/// Records of CIFAR-10's binary form: the label, then three channels of 32 x 32.
std::string cifar_records(int images) {
  std::string records;
  for (int image = 0; image < images; ++image) {
    const int label = image * 7 % 10;
    records += static_cast<char>(label);
    for (int channel = 0; channel < 3; ++channel) records += pixels(image + channel, label, 32);
  }
  return records;
}

}  // namespace

void write_tiny_set(const TemporaryFolder& folder, const std::string& name, int train_images, int test_images, int side,
                    int classes) {
  write_split(folder / ("data/" + name + "/train"), train_images, side, classes);
  write_split(folder / ("data/" + name + "/t10k"), test_images, side, classes);
}

void write_tiny_cifar(const TemporaryFolder& folder, const std::string& name, int train_images, int test_images) {
  write_text(folder / ("data/" + name + "/data_batch_1.bin"), cifar_records(train_images));
  write_text(folder / ("data/" + name + "/test_batch.bin"), cifar_records(test_images));
}

std::string write_tiny_graph(const TemporaryFolder& folder, const std::string& first) {
  write_tiny_set(folder, "tiny", 64, 32);
  const std::string path = folder / "tiny.json";
  write_text(path, R"({
  "version": 1, "name": "tiny",
  "devices": { "first": )" +
                       first + R"(, "cpu1": { "kind": "cpu", "cores": 1 } },
  "data": { "set": "tiny" },
  "layers": [
    { "name": "conv", "type": "conv2d", "out_channels": 3, "kernel": 3, "device": "first" },
    { "name": "relu", "type": "relu", "device": "first" },
    { "name": "flat", "type": "flatten", "device": "cpu1" },
    { "name": "fc", "type": "dense", "out_features": 4, "device": "cpu1" }
  ],
  "loss": { "type": "softmax_cross_entropy" },
  "training": { "epochs": 2, "batch": 16, "optimizer": { "type": "sgd", "learning_rate": 0.1, "momentum": 0.9 } },
  "pipeline": { "schedule": "gpipe", "micro_batch": 4 }
}
)");
  return path;
}

}  // namespace lenet_flow::test
