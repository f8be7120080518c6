#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace lenet_flow {

/// SHA-256 in lower-case hexadecimal.
std::string sha256(std::span<const std::uint8_t> bytes);
/// Of a whole file, read piece by piece. Throws InputError where it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace lenet_flow
