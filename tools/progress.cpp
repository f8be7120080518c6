#include "tools/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/units.h"

namespace lenet_flow {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds between_frames{100};
constexpr milliseconds between_lines{10'000};
constexpr milliseconds between_verbose_lines{1'000};

std::string rate_text(double images_per_second) {
  if (!std::isfinite(images_per_second) || images_per_second <= 0) return "";
  return count_text(static_cast<std::int64_t>(std::llround(std::min(images_per_second, 1e15)))) + " images/s";
}

std::string what_text(const Progress& progress) {
  return fmt::format("epoch {}/{}{}", progress.epoch, progress.epochs, progress.evaluating ? " test" : "");
}

/// What stands right of the bar: images, rate, loss, time left.
std::string facts_text(const Progress& progress) {
  std::string text = fmt::format("{}/{}", count_text(progress.images), count_text(progress.epoch_images));
  if (const std::string rate = rate_text(progress.images_per_second); !rate.empty()) text += "  " + rate;
  if (!std::isnan(progress.loss) && progress.images > 0) text += "  loss " + number_text(progress.loss);
  if (progress.seconds_left > 0) text += "  " + duration_text(std::ceil(progress.seconds_left)) + " left";
  return text;
}

}  // namespace

void LiveLine::show(const std::string& text) {
  if (!terminal_.interactive) return;
  print_error("\r" + text + "\033[K");
  shown_ = true;
}

void LiveLine::clear() {
  if (shown_) print_error("\r\033[K");
  shown_ = false;
}

void LiveLine::keep(const std::string& line) {
  clear();
  print_error(line + "\n");
}

void ProgressDisplay::update(const Progress& progress, Clock::time_point now) {
  if (verbosity_ == Verbosity::quiet) return;
  if (progress.epoch_ended) {
    line_.keep(epoch_text(*progress.epoch_ended, progress.epochs));
    shown_ = now;
    return;
  }
  const bool live = line_.terminal().interactive;
  const milliseconds pause =
      live ? between_frames : (verbosity_ == Verbosity::verbose ? between_verbose_lines : between_lines);
  if (!shown_) shown_ = live ? now - pause : now;  // the first plain line comes after a pause, not at once
  if (now - *shown_ < pause) return;
  shown_ = now;
  if (live)
    line_.show(progress_text(progress, line_.terminal()));
  else
    line_.keep(what_text(progress) + ": " + facts_text(progress));
}

void ProgressDisplay::warn(const std::string& warning) {
  line_.clear();
  print_warning(warning);
}

std::string bar_text(double share, std::size_t columns, bool unicode) {
  const std::size_t inner = columns > 2 ? columns - 2 : 1;
  const double whole = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0.0;
  const auto full = static_cast<std::size_t>(whole * static_cast<double>(inner));
  std::string bar = "[";
  for (std::size_t i = 0; i < inner; ++i) {
    if (unicode)
      bar += i < full ? "━" : " ";
    else
      bar += i < full ? "=" : i == full ? ">" : " ";
  }
  return bar + "]";
}

std::string progress_text(const Progress& progress, const Terminal& terminal) {
  const std::string what = what_text(progress);
  const std::string facts = facts_text(progress);
  const auto columns = static_cast<std::size_t>(terminal.columns - 1);  // the last column would wrap
  const std::size_t room = columns - std::min(columns, what.size() + facts.size() + 3);
  const double share =
      progress.epoch_images > 0 ? static_cast<double>(progress.images) / static_cast<double>(progress.epoch_images) : 0;
  if (room < 8) return cut_to(what + "  " + facts, columns);
  return fmt::format("{} {}  {}", styled(terminal, Style::bold, what),
                     styled(terminal, Style::green, bar_text(share, std::min<std::size_t>(room, 32), terminal.unicode)),
                     facts);
}

std::string epoch_text(const EpochResult& epoch, int epochs) {
  std::string text = fmt::format("epoch {}/{}: loss {}", epoch.epoch, epochs, number_text(epoch.loss));
  if (!std::isnan(epoch.test_accuracy))
    text += fmt::format(", test loss {}, test accuracy {}", number_text(epoch.test_loss),
                        percent_text(epoch.test_accuracy));
  if (epoch.seconds > 0) text += ", " + rate_text(static_cast<double>(epoch.images) / epoch.seconds);
  return text + ", " + duration_text(epoch.seconds);
}

}  // namespace lenet_flow
