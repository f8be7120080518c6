#pragma once

#include <zlib.h>

#include <functional>
#include <string>
#include <string_view>

namespace lenet_flow {

/// Compresses what is written to it, piece by piece (RFC 1952).
class GzipWriter {
 public:
  /// `write` gets the compressed bytes.
  explicit GzipWriter(std::function<void(std::string_view)> write);
  ~GzipWriter();
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  void write(std::string_view content) { compress(content, Z_NO_FLUSH); }
  /// Writes the end; nothing may come after it.
  void finish() { compress({}, Z_FINISH); }

 private:
  void compress(std::string_view content, int flush);

  std::function<void(std::string_view)> write_;
  std::string output_;
  z_stream stream_{};
};

}  // namespace lenet_flow
