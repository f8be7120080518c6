#pragma once

#include <string>
#include <vector>

#include "tools/terminal.h"

namespace lenet_flow {

/// A table of text, columns two spaces apart.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string heading;
    Align align = Align::right;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// `cells`: one a column.
  void add_row(std::vector<std::string> cells);
  /// A row of sums, set off from those above.
  void add_footer(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }

  /// Heading (bold where there is colour) and rows, each line ended; no spaces at the ends of lines.
  std::string text(const Terminal& terminal) const;

 private:
  std::string line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::string> footer_;
};

}  // namespace lenet_flow
