#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "engine/training/checkpoint.h"

namespace lenet_flow {

/// The longest header that is read or written. Far above any real network's (100 bytes a tensor); a header is parsed
/// as a whole, so this bounds what a made-up file can cost.
inline constexpr std::uint64_t longest_header = std::uint64_t{8} << 20;

/// A number format of safetensors that can become float.
struct NumberFormat {
  const char* name;     ///< "F32"
  std::uint64_t bytes;  ///< of one number
  float (*value)(const std::byte* at);
};

/// One tensor as the header tells it, checked against the file's size.
struct TensorEntry {
  std::string name;
  std::vector<std::int64_t> shape;
  const NumberFormat* format = nullptr;  ///< null: passed over
  std::uint64_t begin = 0, end = 0;      ///< bytes, from the begin of the data
};

/// A safetensors file opened, its header read and checked: every tensor lies whole in the file, none overlaps another,
/// no byte is left over.
struct OpenParameterFile {
  std::ifstream stream;
  std::uint64_t data_begin = 0;      ///< where the data begins in the file
  std::vector<TensorEntry> tensors;  ///< in the order of the data
  Metadata metadata;
};

/// Throws InputError as read_parameter_file does.
OpenParameterFile open_parameter_file(const std::filesystem::path& path);

}  // namespace lenet_flow
