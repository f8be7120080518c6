#pragma once

#include <string>

#include "tests/tools/program.h"

namespace lenet_flow::test {

/// Writes a data set of grey images in classes of which four are easy to tell apart, as plain IDX files in
/// FOLDER/data/NAME.
void write_tiny_set(const TemporaryFolder& folder, const std::string& name, int train_images, int test_images,
                    int side = 8, int classes = 4);

/// Writes a data set of 32 x 32 colour images in ten classes, in CIFAR-10's binary form, in FOLDER/data/NAME.
void write_tiny_cifar(const TemporaryFolder& folder, const std::string& name, int train_images, int test_images);

/// Writes a graph file FOLDER/tiny.json on the set "tiny" (64 and 32 images, written too): a convolution on device
/// `first`, a dense layer on cpu1. Returns its path.
std::string write_tiny_graph(const TemporaryFolder& folder, const std::string& first = R"({ "kind": "cpu" })");

}  // namespace lenet_flow::test
