#include "tests/engine/data/test_files.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>
#include <zlib.h>

#include <fstream>
#include <stdexcept>

#include "engine/graph/diagnostics.h"

namespace lenet_flow::test {

namespace fs = std::filesystem;

TempFolder::TempFolder() {
  std::string name = (fs::temp_directory_path() / "lenet-flow-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

void TempFolder::write(const std::string& name, const Bytes& bytes) const {
  fs::create_directories((path_ / name).parent_path());
  std::ofstream(path_ / name, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void TempFolder::write(const std::string& name, const std::string& text) const { write(name, bytes_of(text)); }

Environment::Environment(std::string name, const std::string& value) : name_(std::move(name)) {
  if (const char* old = std::getenv(name_.c_str())) {
    old_ = old;
    had_ = true;
  }
  if (value.empty())
    unsetenv(name_.c_str());
  else
    setenv(name_.c_str(), value.c_str(), 1);
}

Environment::~Environment() {
  if (had_)
    setenv(name_.c_str(), old_.c_str(), 1);
  else
    unsetenv(name_.c_str());
}

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes result(deflateBound(&stream, bytes.size()) + 64);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

namespace {
void append_big_endian(Bytes& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}
}  // namespace

Bytes idx(std::uint32_t magic, const std::vector<std::uint32_t>& dimensions, const Bytes& elements) {
  Bytes bytes;
  append_big_endian(bytes, magic);
  for (const std::uint32_t extent : dimensions) append_big_endian(bytes, extent);
  bytes.insert(bytes.end(), elements.begin(), elements.end());
  return bytes;
}

std::uint8_t pixel_of(std::int64_t image, std::int64_t pixel) {
  return static_cast<std::uint8_t>((image * 31 + pixel * 7 + image * pixel) % 256);
}

Bytes idx_images(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  Bytes pixels;
  for (std::uint32_t i = 0; i < count; ++i)
    for (std::uint32_t j = 0; j < height * width; ++j) pixels.push_back(pixel_of(i, j));
  return idx(0x803, {count, height, width}, pixels);
}

Bytes idx_labels(std::uint32_t count, std::uint32_t classes) {
  Bytes labels;
  for (std::uint32_t i = 0; i < count; ++i) labels.push_back(static_cast<std::uint8_t>(i % classes));
  return idx(0x801, {count}, labels);
}

Bytes tar(const std::vector<std::pair<std::string, Bytes>>& files, const std::string& filter) {
  std::size_t room = 1 << 16;
  for (const auto& [path, content] : files) room += content.size() + 4096;
  Bytes result(room);
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_ustar(writer);
  if (filter == "gzip") archive_write_add_filter_gzip(writer);
  if (filter == "xz") archive_write_add_filter_xz(writer);
  archive_write_open_memory(writer, result.data(), result.size(), &used);
  for (const auto& [path, content] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(writer, entry);
    archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  result.resize(used);
  return result;
}

namespace {

void append_chunk(Bytes& file, const std::string& type, const Bytes& data) {
  append_big_endian(file, static_cast<std::uint32_t>(data.size()));
  Bytes typed = bytes_of(type);
  typed.insert(typed.end(), data.begin(), data.end());
  file.insert(file.end(), typed.begin(), typed.end());
  append_big_endian(file, static_cast<std::uint32_t>(crc32(0, typed.data(), static_cast<uInt>(typed.size()))));
}

/// A row's prediction by the five filters of the PNG specification, from the plain image.
int predict(int filter, int left, int above, int corner) {
  switch (filter) {
    case 1: return left;
    case 2: return above;
    case 3: return (left + above) / 2;
    case 4: {
      const int p = left + above - corner;
      const int a = std::abs(p - left), b = std::abs(p - above), c = std::abs(p - corner);
      return a <= b && a <= c ? left : b <= c ? above : corner;
    }
    default: return 0;
  }
}

}  // namespace

Bytes png(std::int64_t height, std::int64_t width, std::int64_t channels, const Bytes& pixels, int filter) {
  Bytes header;
  append_big_endian(header, static_cast<std::uint32_t>(width));
  append_big_endian(header, static_cast<std::uint32_t>(height));
  header.insert(header.end(), {8, static_cast<std::uint8_t>(channels == 1 ? 0 : 2), 0, 0, 0});
  Bytes rows;
  const std::int64_t stride = width * channels;
  for (std::int64_t row = 0; row < height; ++row) {
    rows.push_back(static_cast<std::uint8_t>(filter));
    for (std::int64_t i = 0; i < stride; ++i) {
      const auto at = [&](std::int64_t y, std::int64_t x) {
        return y < 0 || x < 0 ? 0 : int{pixels[static_cast<std::size_t>(y * stride + x)]};
      };
      rows.push_back(static_cast<std::uint8_t>(at(row, i) - predict(filter, at(row, i - channels), at(row - 1, i),
                                                                    i < channels ? 0 : at(row - 1, i - channels))));
    }
  }
  uLongf size = compressBound(rows.size());
  Bytes data(size);
  compress(data.data(), &size, rows.data(), rows.size());
  data.resize(size);
  Bytes file{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  append_chunk(file, "IHDR", header);
  append_chunk(file, "IDAT", data);
  append_chunk(file, "IEND", {});
  return file;
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const InputError& error) {
    return error.what();
  } catch (const MissingError& error) {
    return error.what();
  }
  return "";
}

std::vector<Bytes> read_all(const Dataset& dataset) {
  std::vector<Bytes> images;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    images.emplace_back(static_cast<std::size_t>(dataset.shape(i).elements()));
    dataset.read(i, images.back());
  }
  return images;
}

}  // namespace lenet_flow::test
