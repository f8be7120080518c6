#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/data/memory_dataset.h"
#include "engine/data/readers.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

struct Table {
  Shape shape;
  Bytes pixels;
  std::vector<std::int32_t> labels;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

/// The shape that `pixels` numbers in a line stand for: a square image of one or of three channels.
Shape shape_of(std::int64_t pixels, const std::string& where) {
  for (const std::int64_t channels : {1, 3}) {
    if (pixels <= 0 || pixels % channels != 0) continue;
    const std::int64_t area = pixels / channels;
    const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(area))));
    if (side * side * channels == pixels && side <= longest_side) return {channels, side, side};
  }
  throw InputError(
      fmt::format("{}: {} pixels: expected a square image of one channel (n * n) or of three, red, then "
                  "green, then blue (3 * n * n)",
                  where, pixels));
}

/// Reads a CSV file line by line.
class TableReader {
 public:
  TableReader(std::string_view text, std::string where) : rest_(text), where_(std::move(where)) {}

  Table read() {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);  // a byte-order mark
    Table table;
    std::int64_t columns = 0, label_column = 0;
    for (std::string_view line; next_line(line);) {
      if (columns == 0) {
        columns = std::count(line.begin(), line.end(), ',') + 1;
        table.shape = shape_of(columns - 1, here());
        if (read_header(line, label_column)) continue;
      }
      read_row(line, columns, label_column, table);
    }
    if (table.labels.empty()) throw InputError(where_ + ": no images in it");
    return table;
  }

 private:
  std::string here() const { return fmt::format("{}:{}", where_, line_number_); }

  /// The next line that is not empty.
  bool next_line(std::string_view& line) {
    while (!rest_.empty()) {
      const std::size_t end = rest_.find('\n');
      line = trimmed(rest_.substr(0, end));
      rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
      ++line_number_;
      if (!line.empty()) return true;
    }
    return false;
  }

  /// True where the first line names the columns; the label is then the one named "label" or "class".
  static bool read_header(std::string_view line, std::int64_t& label_column) {
    if (std::none_of(line.begin(), line.end(), [](char c) { return c >= 'A'; })) return false;
    std::int64_t column = 0;
    while (true) {
      const std::size_t comma = line.find(',');
      std::string name = lower(trimmed(line.substr(0, comma)));
      std::erase(name, '"');
      if (name == "label" || name == "class") label_column = column;
      if (comma == std::string_view::npos) return true;
      line.remove_prefix(comma + 1);
      ++column;
    }
  }

  void read_row(std::string_view line, std::int64_t columns, std::int64_t label_column, Table& table) const {
    std::int64_t column = 0;
    while (true) {
      const std::size_t comma = line.find(',');
      const std::string_view field = trimmed(line.substr(0, comma));
      const bool is_label = column == label_column;
      const std::int64_t most = is_label ? most_classes - 1 : 255;
      std::int64_t value = -1;
      const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
      if (error != std::errc{} || end != field.data() + field.size() || value < 0 || value > most)
        throw InputError(fmt::format("{}: column {}: expected a {} from 0 to {}, got '{}'", here(), column + 1,
                                     is_label ? "label" : "pixel", most, field.substr(0, 40)));
      if (is_label)
        table.labels.push_back(static_cast<std::int32_t>(value));
      else
        table.pixels.push_back(static_cast<std::uint8_t>(value));
      ++column;
      if (comma == std::string_view::npos || column > columns) break;
      line.remove_prefix(comma + 1);
    }
    if (column != columns)
      throw InputError(fmt::format("{}: expected {} numbers as in the first line, got {}{}", here(), columns,
                                   column > columns ? "more than " : "", std::min(column, columns)));
  }

  std::string_view rest_;
  std::string where_;
  std::int64_t line_number_ = 0;
};

Table read_table(const FileTree& tree, std::size_t file) {
  const std::string where = tree.where(file);
  const FileTree::Content content = tree.read(file);
  const Bytes unpacked = is_gzip(content.bytes())
                             ? inflate_bytes(content.bytes(), most_content_bytes(), InflateEnd::whole, where)
                             : Bytes{};
  const std::span<const std::uint8_t> bytes = unpacked.empty() ? content.bytes() : unpacked;
  return TableReader({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, where).read();
}

}  // namespace

std::optional<DataSet> read_csv_files(const ReaderInput& input) {
  std::optional<std::size_t> files[2];
  for (std::size_t i = 0; i < input.paths.size(); ++i) {
    const std::string path = lower(input.paths[i]);
    const std::size_t ending = path.find(".csv");
    if (ending == std::string::npos || (path.substr(ending) != ".csv" && path.substr(ending) != ".csv.gz")) continue;
    // "train.csv", "mnist_train.csv"
    const std::string stem = path.substr(0, ending);
    const Split split = split_of(stem.substr(stem.find_last_of("_-./") + 1));
    if (split != Split::neither) files[static_cast<int>(split)] = i;
  }
  if (!files[0] && !files[1]) return std::nullopt;
  const FileTree& tree = *input.tree;
  for (int split = 0; split < 2; ++split)
    if (!files[split])
      throw InputError(fmt::format("{}: {}.csv is missing", tree.location(), split == 0 ? "train" : "test"));

  Table tables[2] = {read_table(tree, *files[0]), read_table(tree, *files[1])};
  if (tables[0].shape != tables[1].shape)
    throw InputError(fmt::format("{}: training images are {}, test images {}", tree.location(), tables[0].shape.text(),
                                 tables[1].shape.text()));
  DataSet set;
  set.class_names = input.class_names;
  if (set.class_names.empty())
    set.class_names = numbered_classes(*std::max_element(tables[0].labels.begin(), tables[0].labels.end()) + 1);
  for (int split = 0; split < 2; ++split) {
    for (const std::int32_t label : tables[split].labels)
      if (label >= static_cast<std::int32_t>(set.class_names.size()))
        throw InputError(fmt::format("{}: label {} is out of range: there are {} classes", tree.where(*files[split]),
                                     label, set.class_names.size()));
    (split == 0 ? set.train : set.test) = std::make_unique<MemoryDataset>(
        tables[split].shape, std::move(tables[split].pixels), 0, std::move(tables[split].labels));
  }
  return set;
}

}  // namespace lenet_flow
