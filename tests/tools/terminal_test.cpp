#include "tools/terminal.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "tools/progress.h"

using namespace lenet_flow;
using namespace std::chrono_literals;

namespace {

Progress in_epoch(std::int64_t images) {
  Progress progress;
  progress.epoch = 2;
  progress.epochs = 10;
  progress.images = images;
  progress.epoch_images = 60000;
  progress.images_per_second = 12345.4;
  progress.loss = 0.12344;
  progress.seconds_left = 61.2;
  return progress;
}

/// Standard error into a file while it lives.
class ErrorCapture {
 public:
  ErrorCapture() : saved_(::dup(2)), file_(::open("/tmp", O_TMPFILE | O_RDWR, 0600)) {
    REQUIRE(file_ >= 0);
    ::dup2(file_, 2);
  }
  ~ErrorCapture() {
    ::dup2(saved_, 2);
    ::close(saved_);
    ::close(file_);
  }
  std::string text() const {
    std::string text(static_cast<std::size_t>(::lseek(file_, 0, SEEK_END)), '\0');
    REQUIRE(::pread(file_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    return text;
  }

 private:
  int saved_, file_;
};

}  // namespace

TEST_CASE("a file is no terminal: no colour, no moving line") {
  const int file = ::open("/dev/null", O_WRONLY);
  const Terminal terminal = Terminal::of(file);
  ::close(file);
  CHECK(!terminal.interactive);
  CHECK(!terminal.colour);
  CHECK(styled(terminal, Style::red, "text") == "text");
}

TEST_CASE("width and cutting count characters, not bytes or colours") {
  Terminal colour;
  colour.colour = true;
  CHECK(display_width("größe") == 5);
  CHECK(display_width(styled(colour, Style::bold, "größe")) == 5);
  CHECK(cut_to("größe", 5) == "größe");
  CHECK(cut_to("größe und", 8) == "größe...");
  CHECK(cut_to("größe und", 2) == "..");
}

TEST_CASE("the bar is empty at 0, full at 1 and as wide as asked for, whatever the share") {
  CHECK(bar_text(0, 10, false) == "[>       ]");
  CHECK(bar_text(0.5, 10, false) == "[====>   ]");
  CHECK(bar_text(1, 10, false) == "[========]");
  CHECK(bar_text(7, 10, false) == "[========]");
  CHECK(bar_text(-1, 10, false) == "[>       ]");
  CHECK(display_width(bar_text(std::numeric_limits<double>::quiet_NaN(), 10, true)) == 10);
  CHECK(display_width(bar_text(0.3, 10, true)) == 10);
}

TEST_CASE("the live line says epoch, images, rate, loss and time left, and fits every width") {
  Terminal terminal;
  terminal.columns = 120;
  const std::string line = progress_text(in_epoch(30000), terminal);
  for (const char* part : {"epoch 2/10 [", "=>", "30,000/60,000", "12,345 images/s", "loss 0.1234", "1 min 02 s left"})
    CHECK_MESSAGE(line.find(part) != std::string::npos, part << " in: " << line);
  for (terminal.columns = 20; terminal.columns < 130; ++terminal.columns)
    CHECK(display_width(progress_text(in_epoch(30000), terminal)) < static_cast<std::size_t>(terminal.columns));
}

TEST_CASE("what is not known yet is not shown") {
  Progress progress = in_epoch(0);
  progress.images_per_second = 0;
  progress.seconds_left = 0;
  progress.loss = std::numeric_limits<double>::quiet_NaN();
  const std::string line = progress_text(progress, Terminal{});
  for (const char* part : {"loss", "left", "images/s", "nan"}) CHECK(line.find(part) == std::string::npos);
}

TEST_CASE("off a terminal: a plain line every ten seconds, one an epoch, nothing where quiet") {
  const auto start = ProgressDisplay::Clock::time_point{} + 1h;
  const auto show = [&](Verbosity verbosity) {
    const ErrorCapture capture;
    ProgressDisplay display(Terminal{}, verbosity);
    for (int tenth = 0; tenth <= 210; ++tenth) display.update(in_epoch(tenth * 100), start + tenth * 100ms);
    Progress end = in_epoch(60000);
    end.epoch_ended = EpochResult{2, 60000, 4.86, 0.1234, 0.0987, 0.971, 0.05};
    display.update(end, start + 22s);
    return capture.text();
  };
  CHECK(show(Verbosity::normal) ==
        "epoch 2/10: 10,000/60,000  12,345 images/s  loss 0.1234  1 min 02 s left\n"
        "epoch 2/10: 20,000/60,000  12,345 images/s  loss 0.1234  1 min 02 s left\n"
        "epoch 2/10: loss 0.1234, test loss 0.0987, test accuracy 97.10%, 12,346 images/s, 4.86 s\n");
  CHECK(show(Verbosity::quiet) == "");
  const std::string verbose = show(Verbosity::verbose);
  CHECK(std::count(verbose.begin(), verbose.end(), '\n') == 22);
}

TEST_CASE("on a terminal: ten times a second at most, over the same line, which is gone before other lines") {
  const auto start = ProgressDisplay::Clock::time_point{} + 1h;
  Terminal terminal;
  terminal.interactive = true;
  const ErrorCapture capture;
  {
    ProgressDisplay display(terminal, Verbosity::normal);
    for (int millisecond = 0; millisecond < 1000; ++millisecond)
      display.update(in_epoch(millisecond), start + millisecond * 1ms);
    display.warn("something");
  }
  const std::string text = capture.text();
  std::size_t frames = 0;
  for (std::size_t at = text.find("\repoch"); at != std::string::npos; at = text.find("\repoch", at + 1)) ++frames;
  CHECK(frames == 10);
  CHECK(text.find("\r\033[Klenet-flow: warning: something\n") != std::string::npos);
}
