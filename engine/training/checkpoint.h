#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lenet_flow {

/// One tensor of a parameter file: float32, row-major.
struct NamedTensor {
  std::string name;  ///< "conv1.weight", "conv1.weight#momentum"
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// Texts by key, as a safetensors header carries them under "__metadata__".
using Metadata = std::map<std::string, std::string>;

/// A safetensors file (https://github.com/huggingface/safetensors): an 8-byte little-endian header length, a JSON
/// header, the data. Only F32 tensors are written; F32, F64, F16 and BF16 are read and become float.
struct ParameterFile {
  std::vector<NamedTensor> tensors;  ///< written in this order; read in the order of the data
  Metadata metadata;
};

/// Writes to a temporary name in the same folder, syncs, renames, syncs the folder: a reader sees the old file or the
/// whole new one. Throws std::system_error with the file's name; leaves nothing behind then.
void write_parameter_file(const std::filesystem::path& path, const ParameterFile& file);

/// Throws InputError naming the file and what is wrong: not there, truncated, not safetensors, header that lies about
/// sizes, overlapping or duplicate tensors. Never asks for more memory than a few times the file's size.
ParameterFile read_parameter_file(const std::filesystem::path& path);

/// Where a checkpoint stands: the next batch to run. Kept in the file's metadata.
struct Position {
  std::uint32_t epoch = 1;  ///< from 1
  std::uint64_t batch = 0;  ///< batches of this epoch that are done
  std::uint64_t step = 0;   ///< updates done in all
  bool operator==(const Position&) const = default;
};

void write_position(const Position& position, Metadata& metadata);
/// `path` is for messages. Throws InputError where the metadata holds no position: the file is not a checkpoint.
Position read_position(const Metadata& metadata, const std::filesystem::path& path);

/// The whole checkpoint of a folder that stands furthest on (by the position in its metadata; broken files and files
/// of other programs are passed over, each with a line in `warnings`); nothing where the folder has none or is not
/// there. Reads headers only. Throws InputError where the folder cannot be read.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& folder,
                                                       std::vector<std::string>& warnings);

/// SHA-256 of `bytes` as 64 hexadecimal digits.
std::string sha256(std::span<const std::byte> bytes);

}  // namespace lenet_flow
