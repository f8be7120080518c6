#include "tools/units.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <span>

namespace lenet_flow {

std::string count_text(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::size_t first = count < 0 ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1023.95 && unit + 1 < units.size(); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string saving_text(std::uint64_t before, std::uint64_t after) {
  if (before == after) return "nothing";
  return before > after ? bytes_text(before - after) + " saved" : bytes_text(after - before) + " more";
}

std::string amount_text(double amount) {
  constexpr std::array units{"k", "M", "G", "T", "P", "E"};
  if (!std::isfinite(amount)) return "-";
  if (amount < 999.5) return fmt::format("{:.0f}", amount);
  double value = amount / 1000;
  std::size_t unit = 0;
  for (; value >= 999.95 && unit + 1 < units.size(); ++unit) value /= 1000;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  if (seconds < 0.9995e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 0.9995) return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::min(seconds + 0.5, 1e15));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  if (whole < 48 * 3600) return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
  return fmt::format("{} days {:02} h", whole / 86400, whole / 3600 % 24);
}

std::string percent_text(double share, int digits) {
  return std::isfinite(share) ? fmt::format("{:.{}f}%", share * 100, digits) : "-";
}

std::string number_text(double number) {
  if (std::isnan(number)) return "-";
  if (number != 0 && std::abs(number) < 1e-3) return fmt::format("{:.3g}", number);
  return fmt::format("{:.4f}", number);
}

std::string shortened_list(const std::vector<std::string>& names, std::size_t columns) {
  const std::string all = fmt::format("{}", fmt::join(names, " "));
  if (all.size() <= columns || names.size() < 3) return all;
  const std::string tail = fmt::format(" ... {} ({})", names.back(), names.size());
  std::string head = names.front();
  for (std::size_t i = 1; i + 1 < names.size() && head.size() + 1 + names[i].size() + tail.size() <= columns; ++i) {
    head += ' ';
    head += names[i];
  }
  return head + tail;
}

std::string plural(std::int64_t count, const std::string& thing) {
  const bool hisses = thing.ends_with("s") || thing.ends_with("x") || thing.ends_with("tch") || thing.ends_with("sh");
  return fmt::format("{} {}{}", count_text(count), thing, count == 1 ? "" : hisses ? "es" : "s");
}

}  // namespace lenet_flow
