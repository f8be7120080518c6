#include "engine/trace/chrome/gzip_writer.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace lenet_flow;

namespace {

/// What zlib makes of a gzip file; fails where it is not whole.
std::string unpacked(const std::string& bytes) {
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
  std::string input = bytes, text, piece(10'000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  int state = Z_OK;
  while (state == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = inflate(&stream, Z_NO_FLUSH);
    text.append(piece, 0, piece.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  CHECK(state == Z_STREAM_END);
  return text;
}

}  // namespace

TEST_CASE("what was compressed piece by piece comes out as it was") {
  std::mt19937 random(1);
  for (const std::size_t piece : {1u, 1000u, 300'000u}) {
    std::string text, bytes;
    GzipWriter writer([&](std::string_view content) { bytes += content; });
    for (int i = 0; i < 5; ++i) {
      std::string part(piece, '\0');
      for (char& c : part) c = static_cast<char>(random());
      writer.write(part);
      text += part;
    }
    writer.finish();
    CHECK(unpacked(bytes) == text);
  }
}

TEST_CASE("an empty file is a gzip file too") {
  std::string bytes;
  GzipWriter writer([&](std::string_view content) { bytes += content; });
  writer.finish();
  CHECK(unpacked(bytes).empty());
  CHECK(!bytes.empty());
}
