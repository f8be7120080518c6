#include <fmt/format.h>
#include <json/json.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <system_error>

#include "engine/graph/diagnostics.h"
#include "engine/training/parameter_file_header.h"

namespace lenet_flow {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

template <typename Bits>
Bits load(const std::byte* at) {
  Bits bits;
  std::memcpy(&bits, at, sizeof(bits));
  return bits;
}

/// IEEE 754 binary16; every value of it is a float.
float half_to_float(const std::byte* at) {
  const auto bits = load<std::uint16_t>(at);
  const float sign = bits & 0x8000 ? -1.0f : 1.0f;
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent == 31) return fraction ? std::numeric_limits<float>::quiet_NaN() : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

constexpr NumberFormat formats[] = {
    {"F32", 4, [](const std::byte* at) { return load<float>(at); }},
    {"F64", 8, [](const std::byte* at) { return static_cast<float>(load<double>(at)); }},
    {"F16", 2, half_to_float},
    {"BF16", 2, [](const std::byte* at) { return std::bit_cast<float>(std::uint32_t{load<std::uint16_t>(at)} << 16); }},
};

/// PyTorch's batch_norm keeps an I64 counter of batches that nothing here needs; a state dict is read all the same.
constexpr std::string_view passed_over = ".num_batches_tracked";

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& problem) {
  throw InputError(path.string() + ": " + problem);
}

[[noreturn]] void refuse_tensor(const std::filesystem::path& path, const std::string& name,
                                const std::string& problem) {
  refuse(path, fmt::format("tensor '{}' {}", printable(name), problem));
}

/// Opens a regular file and says how long it is. Looks before it opens: a pipe would wait for ever.
std::uint64_t open_regular(const std::filesystem::path& path, std::ifstream& stream) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status))
    refuse(path, error && error != std::errc::no_such_file_or_directory ? error.message() : "there is no such file");
  if (std::filesystem::is_directory(status)) refuse(path, "is a folder, not a parameter file (safetensors)");
  if (!std::filesystem::is_regular_file(status)) refuse(path, "is not a regular file");
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (error) refuse(path, error.message());
  stream.open(path, std::ios::binary);
  if (!stream) refuse(path, "cannot be opened: " + std::generic_category().message(errno));
  return size;
}

void read_bytes(const std::filesystem::path& path, std::ifstream& stream, char* to, std::uint64_t count) {
  if (!stream.read(to, static_cast<std::streamsize>(count))) refuse(path, "cannot be read to its end");
}

std::string read_header_text(const std::filesystem::path& path, std::ifstream& stream, std::uint64_t size) {
  std::byte length_bytes[8];
  if (size < sizeof(length_bytes))
    refuse(path, fmt::format("is {} bytes long: truncated, or not a safetensors file", size));
  read_bytes(path, stream, reinterpret_cast<char*>(length_bytes), sizeof(length_bytes));
  const auto length = load<std::uint64_t>(length_bytes);
  if (length > size - sizeof(length_bytes))
    refuse(path, fmt::format("says that its header is {} bytes long, but the whole file has {}: truncated, or not a "
                             "safetensors file",
                             length, size));
  if (length > longest_header)
    refuse(path, fmt::format("has a header of {} bytes; at most {} are read", length, longest_header));
  std::string text(length, '\0');
  read_bytes(path, stream, text.data(), length);
  if (!text.starts_with('{')) refuse(path, "is not a safetensors file: its header does not begin with '{'");
  return text;
}

Json::Value parse_header(const std::filesystem::path& path, const std::string& text) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["stackLimit"] = 8;  // a header nests three deep
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value header;
  std::string errors;
  try {
    if (reader->parse(text.data(), text.data() + text.size(), &header, &errors)) return header;
  } catch (const Json::Exception&) {
    errors = "nested too deep";
  }
  // jsoncpp gives one problem in two or more lines: "* Line 1, Column 7\n  Syntax error: ...".
  std::replace(errors.begin(), errors.end(), '\n', ' ');
  while (!errors.empty() && (errors.back() == ' ' || errors.back() == '*')) errors.pop_back();
  refuse(path, "is not a safetensors file: its header is not the JSON it should be: " + printable(errors, 300));
}

Metadata read_metadata(const std::filesystem::path& path, const Json::Value& json) {
  if (!json.isObject()) refuse(path, "\"__metadata__\" is not an object of texts");
  Metadata metadata;
  for (auto entry = json.begin(); entry != json.end(); ++entry) {
    if (!entry->isString()) refuse(path, fmt::format("\"__metadata__\": '{}' is not a text", printable(entry.name())));
    metadata[entry.name()] = entry->asString();
  }
  return metadata;
}

/// Bytes of a tensor of that shape; refuses what cannot be counted.
std::uint64_t bytes_of(const std::filesystem::path& path, const TensorEntry& tensor, std::uint64_t number_bytes) {
  std::uint64_t bytes = number_bytes;
  for (const std::int64_t extent : tensor.shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes))
      refuse_tensor(path, tensor.name, "has a shape with more elements than can be counted");
  return bytes;
}

const NumberFormat* find_format(const std::filesystem::path& path, const std::string& name, const std::string& type) {
  for (const NumberFormat& format : formats)
    if (type == format.name) return &format;
  if (type == "I64" && name.ends_with(passed_over)) return nullptr;
  refuse_tensor(path, name, fmt::format("is of type '{}'; F32, F64, F16 and BF16 can be read", printable(type)));
}

TensorEntry read_entry(const std::filesystem::path& path, const std::string& name, const Json::Value& json) {
  TensorEntry tensor;
  tensor.name = name;
  if (!json.isObject()) refuse_tensor(path, name, "is not described by an object");
  for (const std::string& key : json.getMemberNames())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      refuse_tensor(path, name, fmt::format("has an unknown key '{}'", printable(key)));
  const Json::Value &type = json["dtype"], &shape = json["shape"], &offsets = json["data_offsets"];
  if (!type.isString()) refuse_tensor(path, name, "has no \"dtype\"");
  tensor.format = find_format(path, name, type.asString());
  if (!shape.isArray()) refuse_tensor(path, name, "has no \"shape\"");
  for (const Json::Value& extent : shape) {
    if (!extent.isInt64() || extent.asInt64() < 0)
      refuse_tensor(path, name, "has a \"shape\" that is not a list of sizes");
    tensor.shape.push_back(extent.asInt64());
  }
  if (!offsets.isArray() || offsets.size() != 2 || !offsets[0].isUInt64() || !offsets[1].isUInt64())
    refuse_tensor(path, name, "has no \"data_offsets\" of two numbers");
  tensor.begin = offsets[0].asUInt64();
  tensor.end = offsets[1].asUInt64();
  if (tensor.begin > tensor.end) refuse_tensor(path, name, "ends before it begins");
  const std::uint64_t bytes = bytes_of(path, tensor, tensor.format ? tensor.format->bytes : sizeof(std::int64_t));
  if (bytes != tensor.end - tensor.begin)
    refuse_tensor(path, name,
                  fmt::format("has {} bytes of data, its shape and type need {}", tensor.end - tensor.begin, bytes));
  return tensor;
}

/// The data must be covered without holes and without overlap, as the format demands.
void check_layout(const std::filesystem::path& path, std::vector<TensorEntry>& tensors, std::uint64_t data_bytes) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t covered = 0;
  for (const TensorEntry& tensor : tensors) {
    if (tensor.end > data_bytes)
      refuse_tensor(
          path, tensor.name,
          fmt::format("ends at byte {} of the data, which has {}: the file is truncated", tensor.end, data_bytes));
    if (tensor.begin < covered) refuse_tensor(path, tensor.name, "overlaps the one before it");
    if (tensor.begin > covered)
      refuse_tensor(path, tensor.name, fmt::format("leaves {} bytes before it unused", tensor.begin - covered));
    covered = tensor.end;
  }
  if (covered < data_bytes)
    refuse(path, fmt::format("has {} bytes after its last tensor that belong to none", data_bytes - covered));
}

}  // namespace

OpenParameterFile open_parameter_file(const std::filesystem::path& path) {
  OpenParameterFile file;
  const std::uint64_t size = open_regular(path, file.stream);
  const std::string text = read_header_text(path, file.stream, size);
  file.data_begin = sizeof(std::uint64_t) + text.size();
  const Json::Value header = parse_header(path, text);
  for (auto entry = header.begin(); entry != header.end(); ++entry) {
    if (entry.name() == "__metadata__")
      file.metadata = read_metadata(path, *entry);
    else
      file.tensors.push_back(read_entry(path, entry.name(), *entry));
  }
  check_layout(path, file.tensors, size - file.data_begin);
  return file;
}

ParameterFile read_parameter_file(const std::filesystem::path& path) {
  OpenParameterFile open = open_parameter_file(path);
  ParameterFile file;
  file.metadata = std::move(open.metadata);
  std::vector<std::byte> bytes;
  for (TensorEntry& entry : open.tensors) {
    if (!entry.format) continue;
    bytes.resize(entry.end - entry.begin);
    open.stream.seekg(static_cast<std::streamoff>(open.data_begin + entry.begin));
    read_bytes(path, open.stream, reinterpret_cast<char*>(bytes.data()), bytes.size());
    NamedTensor& tensor = file.tensors.emplace_back();
    tensor.name = std::move(entry.name);
    tensor.shape = std::move(entry.shape);
    tensor.values.resize(bytes.size() / entry.format->bytes);
    for (std::size_t i = 0; i < tensor.values.size(); ++i)
      tensor.values[i] = entry.format->value(bytes.data() + i * entry.format->bytes);
  }
  return file;
}

}  // namespace lenet_flow
