#include "engine/training/profile.h"

#include <CLI/CLI.hpp>

#include "tools/commands.h"
#include "tools/graph_options.h"
#include "tools/interrupt.h"
#include "tools/output_file.h"
#include "tools/profile_tables.h"
#include "tools/report_option.h"
#include "tools/trace_output.h"

namespace lenet_flow {
namespace {

struct ProfileArguments : GraphArguments {
  std::string steps = "200", warm_up = "20", budget, json, report;
  TraceArguments trace;
};

ExitCode profile(const ProfileArguments& arguments) {
  ProgressDisplay display(Terminal::of(2), arguments.verbosity());
  RunOptions options = run_options(arguments, display);
  std::vector<StallLimit> limits;
  if (!arguments.budget.empty()) limits = parse_budget(arguments.budget);
  std::optional<OutputFile> json;
  if (!arguments.json.empty() && arguments.json != "-") json.emplace("--json", arguments.json);
  ReportOutput report(arguments.report, options);
  TraceOutput trace(arguments.trace, options);
  stop_gently();
  RunResult result = profile_graph(options, {std::stoull(arguments.warm_up), std::stoull(arguments.steps)});
  display.clear();
  trace.write(result);
  if (result.interrupted) {
    print_error("lenet-flow: interrupted\n");
    return ExitCode::interrupted;
  }
  if (json) json->write(result_json(result));
  report.write();
  print(arguments.json == "-" ? result_json(result) : profile_tables(result, arguments.verbose, Terminal::of(1)));
  const auto over = over_budget(result, limits);
  for (const std::string& line : over) print_error("lenet-flow: over budget: " + line + "\n");
  return over.empty() ? ExitCode::done : ExitCode::limit_exceeded;
}

}  // namespace

void add_profile(CLI::App& program, Command& chosen) {
  const auto arguments = std::make_shared<ProfileArguments>();
  CLI::App* command = program.add_subcommand("profile", "where the time goes: stalls, their root causes, and a fix");
  add_graph_options(*command, *arguments);
  add_init_option(*command, *arguments);
  command->add_option("--steps", arguments->steps, "batches that are measured (default 200)")
      ->option_text("N")
      ->check(whole_number(1, 1'000'000'000));
  command->add_option("--warm-up", arguments->warm_up, "batches before them (default 20)")
      ->option_text("N")
      ->check(whole_number(0, 1'000'000'000));
  command
      ->add_option("--budget", arguments->budget,
                   "exit code 4 where a stage is longer in a state than so much of the time: starved=5%,transfer=10%")
      ->option_text("LIMITS");
  command->add_option("--json", arguments->json, "the result as JSON; '-' is standard output")->option_text("FILE");
  add_report_option(*command, arguments->report);
  add_trace_options(*command, arguments->trace);
  command->footer(
      "Examples:\n"
      "  lenet-flow profile graphs/lenet5_two_cores.json\n"
      "  lenet-flow profile graphs/split_conv_gpu.json --map gpu0=cpu --steps 500\n"
      "  lenet-flow profile graphs/lenet5_two_cores.json --budget starved=40%,no_credit=5%");
  command->callback([arguments, &chosen] { chosen = [arguments] { return profile(*arguments); }; });
}

}  // namespace lenet_flow
