#include "engine/data/bytes.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "devices/machine.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

/// zlib's state, freed in any case.
struct Inflater {
  z_stream stream{};
  Inflater() {
    constexpr int largest_window = 15, detect_header = 32;  // gzip or zlib
    if (inflateInit2(&stream, largest_window + detect_header) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

}  // namespace

std::uint64_t most_content_bytes() { return std::min(std::uint64_t{4} << 30, Machine::available_bytes() / 2); }

Bytes read_file(const std::filesystem::path& path, std::uint64_t limit) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error))
    throw InputError(fmt::format("{}: not a file that can be read", path.string()));
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (!file) throw InputError(fmt::format("{}: {}", path.string(), std::strerror(errno)));
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) throw InputError(fmt::format("{}: {}", path.string(), error.message()));
  Bytes bytes(static_cast<std::size_t>(std::min<std::uint64_t>(size, limit)));
  if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size())
    throw InputError(fmt::format("{}: cannot be read to its end", path.string()));
  return bytes;
}

bool is_gzip(std::span<const std::uint8_t> bytes) { return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

Bytes inflate_bytes(std::span<const std::uint8_t> bytes, std::uint64_t limit, InflateEnd end,
                    const std::string& where) {
  constexpr std::size_t most_at_a_time = std::size_t{1} << 30;  // zlib counts in 32 bits
  Inflater inflater;
  z_stream& stream = inflater.stream;
  Bytes result;
  std::size_t used = 0, produced = 0;
  while (true) {
    if (produced == result.size()) {
      // One byte over the limit shows that there is more.
      const std::uint64_t most = end == InflateEnd::head ? limit : limit + 1;
      const std::uint64_t wanted = std::max<std::uint64_t>({4096, 4 * bytes.size(), 2 * result.size()});
      result.resize(static_cast<std::size_t>(std::min(most, wanted)));
    }
    const std::size_t input = std::min(bytes.size() - used, most_at_a_time);
    const std::size_t room = std::min(result.size() - produced, most_at_a_time);
    stream.next_in = const_cast<Bytef*>(bytes.data() + used);  // zlib only reads it
    stream.avail_in = static_cast<uInt>(input);
    stream.next_out = result.data() + produced;
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    used += input - stream.avail_in;
    produced += room - stream.avail_out;
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
      throw InputError(fmt::format("{}: damaged compressed data ({})", where,
                                   stream.msg != nullptr ? stream.msg : "no more is known"));
    if (end == InflateEnd::head && produced == limit) break;
    if (produced > limit) throw InputError(fmt::format("{}: holds more than {} bytes", where, limit));
    if (status == Z_STREAM_END) {
      if (!is_gzip(bytes.subspan(used))) break;  // zeros that a tape or disk added are no harm
      inflateReset(&stream);
    } else if (used == bytes.size() && stream.avail_out != 0) {
      throw InputError(fmt::format("{}: truncated: the compressed data ends after {} bytes", where, produced));
    }
  }
  result.resize(produced);
  return result;
}

}  // namespace lenet_flow
