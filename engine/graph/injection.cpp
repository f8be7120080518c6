#include "engine/graph/injection.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>

#include "engine/graph/sections.h"

namespace lenet_flow {
namespace {

constexpr double longest_seconds = 60;
constexpr double largest_factor = 1000;
constexpr double slowest_rate = 1e3, fastest_rate = 1e15;  // bytes a second

/// What is wrong with an entry, in words.
class BadEntry : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Unit {
  std::string_view name;
  double size;
};
constexpr Unit time_units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
constexpr Unit rate_units[] = {{"B/s", 1}, {"kB/s", 1e3}, {"MB/s", 1e6}, {"GB/s", 1e9}, {"TB/s", 1e12}};

/// "1.5us" in the units given, as a number of the unit of size 1; none where it is no such thing.
std::optional<double> quantity(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  const std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& unit : units)
    if (rest == unit.name) return number * unit.size;
  return std::nullopt;
}

void read_time(std::string_view text, InjectEntry& entry) {
  const auto seconds = quantity(text.substr(1), time_units);
  if (!seconds || *seconds < 1e-9 || *seconds > longest_seconds)
    throw BadEntry(fmt::format("expected +TIME from +1ns to +{}s, such as +200us (units: ns, us, ms, s), got '{}'",
                               longest_seconds, printable(text)));
  entry.nanoseconds = std::llround(*seconds * 1e9);
}

void read_factor(std::string_view text, InjectEntry& entry) {
  static constexpr Unit no_unit[] = {{"", 1}};
  const auto factor = quantity(text.substr(1), no_unit);
  if (!factor || *factor < 1 || *factor > largest_factor)
    throw BadEntry(
        fmt::format("expected xFACTOR from x1 to x{}, such as x1.5, got '{}'", largest_factor, printable(text)));
  entry.factor = *factor;
}

void read_rate(std::string_view text, InjectEntry& entry) {
  const auto rate = quantity(text, rate_units);
  if (!rate || *rate < slowest_rate || *rate > fastest_rate)
    throw BadEntry(fmt::format(
        "expected a rate from 1kB/s to 1000TB/s, such as 1GB/s (units: B/s, kB/s, MB/s, GB/s, TB/s), got '{}'",
        printable(text)));
  entry.bytes_per_second = *rate;
}

void read_delay(std::string_view text, InjectEntry& entry) {
  using Target = InjectEntry::Target;
  if (text.starts_with('+') && entry.target != Target::device) return read_time(text, entry);
  if (text.starts_with('x') && entry.target != Target::link) return read_factor(text, entry);
  if (entry.target == Target::link && !text.starts_with('x')) return read_rate(text, entry);
  const char* right = entry.target == Target::layer    ? "+TIME or xFACTOR for a layer, such as +200us or x1.5"
                      : entry.target == Target::device ? "xFACTOR for a device, such as x1.5"
                                                       : "+TIME and a rate for a link, such as +50us,1GB/s";
  throw BadEntry(fmt::format("expected {}, got '{}'", right, printable(text)));
}

/// What is before '='. The names of links are looked up where the stages are known.
void read_target(std::string_view text, const GraphFile& file, InjectEntry& entry) {
  const auto take = [&](std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
  };
  if (take("link:")) {
    const std::size_t arrow = text.find('>');
    if (arrow == std::string_view::npos || arrow < 2 || text[arrow - 1] != '-' || arrow + 1 == text.size())
      throw BadEntry(fmt::format("expected link:FROM->TO, such as link:conv1->fc, got 'link:{}'", printable(text)));
    entry.target = InjectEntry::Target::link;
    entry.from = text.substr(0, arrow - 1);
    entry.to = text.substr(arrow + 1);
    return;
  }
  std::vector<std::string> layers = names_of(file.layers);
  const std::vector<std::string> devices = names_of(file.devices);
  const bool layers_only = take("layer:"), devices_only = !layers_only && take("device:");
  entry.name = text;
  const auto has = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), entry.name) != names.end();
  };
  const bool layer = !devices_only && has(layers), device = !layers_only && has(devices);
  if (layer && device)
    throw BadEntry(fmt::format("'{0}' is a layer and a device; write layer:{0} or device:{0}", entry.name));
  entry.target = device ? InjectEntry::Target::device : InjectEntry::Target::layer;
  if (layer || device) return;
  if (devices_only) throw BadEntry("unknown device " + with_suggestion(text, devices));
  if (!layers_only)
    std::copy_if(devices.begin(), devices.end(), std::back_inserter(layers),
                 [&](const std::string& one) { return std::find(layers.begin(), layers.end(), one) == layers.end(); });
  throw BadEntry((layers_only ? "unknown layer " : "unknown layer or device ") + with_suggestion(text, layers));
}

InjectEntry parsed(std::string_view text, const GraphFile& file) {
  InjectEntry entry;
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size())
    throw BadEntry(
        fmt::format("expected WHAT=DELAY, such as conv2=+200us, cpu1=x1.5 or link:conv1->fc=+50us,1GB/s, got '{}'",
                    printable(text)));
  read_target(text.substr(0, equals), file, entry);
  for (std::string_view rest = text.substr(equals);;) {
    rest.remove_prefix(1);
    const std::size_t comma = std::min(rest.find(','), rest.size());
    read_delay(rest.substr(0, comma), entry);
    rest.remove_prefix(comma);
    if (rest.empty()) return entry;
  }
}

}  // namespace

void read_inject(GraphFile& file, const std::string& text, const SourceLocation& where, const std::string& field,
                 Problems& problems) {
  try {
    InjectEntry entry = parsed(text, file);
    entry.text = text;
    entry.where = where;
    file.pipeline.inject.push_back(std::move(entry));
  } catch (const BadEntry& error) {
    problems.add(where, field, error.what());
  }
}

}  // namespace lenet_flow
