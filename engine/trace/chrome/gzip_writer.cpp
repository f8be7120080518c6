#include "engine/trace/chrome/gzip_writer.h"

#include <new>
#include <utility>

namespace lenet_flow {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 16;
constexpr int gzip_format = 15 + 16;  // the largest window, and zlib's sign for a gzip header
constexpr int memory_level = 8;       // zlib's default

}  // namespace

GzipWriter::GzipWriter(std::function<void(std::string_view)> write)
    : write_(std::move(write)), output_(piece_bytes, '\0') {
  if (deflateInit2(&stream_, Z_BEST_SPEED, Z_DEFLATED, gzip_format, memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
}

GzipWriter::~GzipWriter() { deflateEnd(&stream_); }

void GzipWriter::compress(std::string_view content, int flush) {
  stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream_.avail_in = static_cast<uInt>(content.size());
  do {
    stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
    stream_.avail_out = static_cast<uInt>(output_.size());
    deflate(&stream_, flush);
    write_(std::string_view(output_).substr(0, output_.size() - stream_.avail_out));
  } while (stream_.avail_out == 0);
}

}  // namespace lenet_flow
