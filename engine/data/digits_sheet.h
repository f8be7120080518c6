#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "engine/data/bytes.h"

namespace lenet_flow {

/// Makes the data set `digits` of OpenCV's picture digits.png (2000 x 1000 pixels of grey: 50 rows of 100 digits of
/// 20 x 20 pixels; rows 5 c to 5 c + 4 are the class c) and writes it to `folder` as four IDX files.
///
/// Each digit gets a border of 4 zeros, so that it has MNIST's 28 x 28. Split: of every row of the picture the first 80
/// digits are for training and the last 20 for testing, 400 and 100 a class. Order: image i is of class i mod 10, so
/// that the first N images of a split have all classes alike; place p = i / 10 within the class is row p / 80 (test: p
/// / 20) of the class's five and column p mod 80 (test: 80 + p mod 20).
///
/// Throws InputError, beginning with `where`, where the picture is damaged or another one.
void write_digits(std::span<const std::uint8_t> png, const std::string& where, const std::filesystem::path& folder);

}  // namespace lenet_flow
