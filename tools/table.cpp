#include "tools/table.h"

#include <algorithm>
#include <stdexcept>

namespace lenet_flow {

void Table::add_row(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) throw std::logic_error("a row must have a cell for every column");
  rows_.push_back(std::move(cells));
}

void Table::add_footer(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) throw std::logic_error("a row must have a cell for every column");
  footer_ = std::move(cells);
}

std::string Table::line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) const {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string space(widths[i] - display_width(cells[i]), ' ');
    if (i > 0) text += "  ";
    text += columns_[i].align == Align::left ? cells[i] + space : space + cells[i];
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string Table::text(const Terminal& terminal) const {
  std::vector<std::string> heading;
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    heading.push_back(columns_[i].heading);
    std::size_t width = display_width(columns_[i].heading);
    for (const auto& row : rows_) width = std::max(width, display_width(row[i]));
    if (!footer_.empty()) width = std::max(width, display_width(footer_[i]));
    widths.push_back(width);
  }
  std::string text = styled(terminal, Style::bold, line(heading, widths)) + "\n";
  for (const auto& row : rows_) text += line(row, widths) + "\n";
  if (!footer_.empty()) text += styled(terminal, Style::bold, line(footer_, widths)) + "\n";
  return text;
}

}  // namespace lenet_flow
