#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace lenet_flow {

using Bytes = std::vector<std::uint8_t>;

/// The most bytes that one file or archive of a data set may unpack to: 4 GiB, or half of the memory that is free where
/// that is less. So a hostile or mistaken one ends in a message.
std::uint64_t most_content_bytes();

/// The first `limit` bytes of a regular file (all of it where it is shorter). Throws InputError where it cannot be
/// read.
Bytes read_file(const std::filesystem::path& path, std::uint64_t limit = UINT64_MAX);

/// True where the bytes begin as a gzip file does.
bool is_gzip(std::span<const std::uint8_t> bytes);

/// How inflating ends.
enum class InflateEnd {
  whole,  ///< the stream must end within the limit, its checksum right
  head,   ///< stops at the limit: the first bytes are wanted
};
/// Inflates a gzip or zlib stream (of several members too). Memory grows with what is really inflated, never with what
/// a header claims. Throws InputError, beginning with `where`, for truncated or corrupt data and, unless only the head
/// is wanted, for more than `limit` bytes.
Bytes inflate_bytes(std::span<const std::uint8_t> bytes, std::uint64_t limit, InflateEnd end, const std::string& where);

}  // namespace lenet_flow
