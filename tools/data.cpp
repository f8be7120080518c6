#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "engine/data/catalog.h"
#include "engine/training/version.h"
#include "tools/commands.h"
#include "tools/progress.h"
#include "tools/table.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

struct DataArguments {
  fs::path data;
  std::string name, from;
  bool quiet = false;
};

std::string state_text(const SetStatus& status, const Terminal& terminal) {
  switch (status.state) {
    case SetStatus::State::absent: return styled(terminal, Style::dim, "not there");
    case SetStatus::State::whole: return styled(terminal, Style::green, "whole");
    case SetStatus::State::other: return styled(terminal, Style::yellow, "not the official files");
    case SetStatus::State::broken: return styled(terminal, Style::red, "broken");
  }
  return {};
}

ExitCode list_sets(const DataArguments& arguments) {
  const Terminal terminal = Terminal::of(1);
  using Align = Table::Align;
  Table sets({{"set", Align::left}, {"shape"}, {"classes"}, {"training"}, {"test"}, {"", Align::left}});
  for (const KnownSet& set : known_sets())
    sets.add_row({set.name, set.shape.text(), std::to_string(set.classes), count_text(set.train_images),
                  count_text(set.test_images), set.help});
  Table places({{"set", Align::left}, {"looked for in", Align::left}, {"found", Align::left}});
  for (const SetStatus& status : data_status(data_folders(arguments.data)))
    places.add_row({status.name, status.folder.string(),
                    state_text(status, terminal) + (status.detail.empty() ? "" : ": " + status.detail)});
  print(sets.text(terminal) + "\n" + places.text(terminal) +
        fmt::format("\n'lenet-flow data get NAME' puts a set into {}\n", data_cache_folder().string()));
  return ExitCode::done;
}

/// Progress of a fetch: a live line on a terminal, otherwise a line a file.
class FetchDisplay {
 public:
  FetchDisplay(std::string set, bool quiet) : line_(Terminal::of(2)), set_(std::move(set)), quiet_(quiet) {}

  void update(const std::string& file, std::uint64_t done, std::uint64_t total) {
    if (quiet_) return;
    const bool new_file = file != file_;
    file_ = file;
    const auto now = std::chrono::steady_clock::now();
    if (!line_.terminal().interactive) {
      if (new_file) line_.keep(fmt::format("{}: {}", set_, file));
      return;
    }
    if (!new_file && done != total && now - shown_ < std::chrono::milliseconds(100)) return;
    shown_ = now;
    const std::string what = fmt::format("{}: {}", set_, file);
    std::string amount = bytes_text(done);
    if (total > 0)
      amount = fmt::format(
          "{} {} of {}", bar_text(static_cast<double>(done) / static_cast<double>(total), 24, line_.terminal().unicode),
          amount, bytes_text(total));
    line_.show(cut_to(what + "  " + amount, static_cast<std::size_t>(line_.terminal().columns - 1)));
  }
  void clear() { line_.clear(); }

 private:
  LiveLine line_;
  std::string set_, file_;
  bool quiet_;
  std::chrono::steady_clock::time_point shown_{};
};

ExitCode get_set(const DataArguments& arguments) {
  FetchDisplay display(arguments.name, arguments.quiet);
  const fs::path folder = fetch_data_set(
      arguments.name, arguments.from,
      [&](const std::string& file, std::uint64_t done, std::uint64_t total) { display.update(file, done, total); });
  display.clear();
  print(fmt::format("{}\n", folder.string()));
  return ExitCode::done;
}

void add_get(CLI::App& data, Command& chosen, const std::shared_ptr<DataArguments>& arguments) {
  CLI::App* get = data.add_subcommand("get", "fetch a known set into the cache folder");
  get->add_option("NAME", arguments->name, "mnist, fashion-mnist, cifar10, digits")->option_text(" ")->required();
  get->add_option("--from", arguments->from, "a folder, a file or an address to take it from")
      ->option_text("DIR-or-URL");
  get->add_flag("-q,--quiet", arguments->quiet, "no progress");
  get->set_version_flag("--version", "lenet-flow " LENET_FLOW_VERSION);
  get->footer(
      "What broke off goes on where it stopped. Prints the folder.\n"
      "\n"
      "Examples:\n"
      "  lenet-flow data get mnist\n"
      "  lenet-flow data get cifar10 --from /media/disk/cifar10\n"
      "  lenet-flow data get fashion-mnist --from https://mirror.example.org/fashion-mnist");
  get->callback([arguments, &chosen] { chosen = [arguments] { return get_set(*arguments); }; });
}

}  // namespace

void add_data(CLI::App& program, Command& chosen) {
  const auto arguments = std::make_shared<DataArguments>();
  CLI::App* command = program.add_subcommand("data", "list the known data sets and where they are; 'data get' fetches");
  command->require_subcommand(0, 1);
  command->add_option("--data", arguments->data, "a folder with one folder a data set; looked at first")
      ->option_text("DIR");
  command->footer("Examples:\n  lenet-flow data\n  lenet-flow data get mnist");
  add_get(*command, chosen, arguments);
  // The callback of 'get' runs first.
  command->callback([arguments, &chosen] {
    if (!chosen) chosen = [arguments] { return list_sets(*arguments); };
  });
}

}  // namespace lenet_flow
