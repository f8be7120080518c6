#include <CLI/CLI.hpp>

#include "engine/training/checkpoint.h"
#include "engine/training/result.h"
#include "tools/commands.h"
#include "tools/graph_options.h"
#include "tools/interrupt.h"
#include "tools/output_file.h"
#include "tools/report_option.h"
#include "tools/result_tables.h"
#include "tools/trace_output.h"

namespace lenet_flow {
namespace {

struct RunArguments : GraphArguments {
  std::string checkpoint, json, report;
  TraceArguments trace;
  bool resume = false;
};

std::string newest_in(const std::string& folder) {
  if (folder.empty()) return {};
  std::vector<std::string> ignored;
  const auto path = newest_checkpoint(folder, ignored);
  return path ? path->string() : std::string();
}

ExitCode run(const RunArguments& arguments) {
  ProgressDisplay display(Terminal::of(2), arguments.verbosity());
  RunOptions options = run_options(arguments, display);
  std::optional<OutputFile> json;
  if (!arguments.json.empty() && arguments.json != "-") json.emplace("--json", arguments.json);
  ReportOutput report(arguments.report, options);
  if (!arguments.checkpoint.empty()) {
    check_output_folder("--checkpoint", arguments.checkpoint);
    options.checkpoint = arguments.checkpoint;
  }
  options.resume = arguments.resume;
  TraceOutput trace(arguments.trace, options);
  stop_gently();
  RunResult result = run_graph(options);
  display.clear();
  trace.write(result);
  if (trace.asked() && (arguments.json == "-" || result.interrupted)) print_error("lenet-flow: " + trace.text() + "\n");
  if (result.interrupted) {
    const std::string checkpoint = newest_in(arguments.checkpoint);
    print_error("lenet-flow: interrupted; " +
                (checkpoint.empty() ? (trace.asked() ? "no checkpoint was written" : "nothing was written")
                                    : "--resume goes on from " + checkpoint) +
                "\n");
    return ExitCode::interrupted;
  }
  // The file first: it must be there even where nobody reads what is printed.
  if (json) json->write(result_json(result));
  report.write();
  print(arguments.json == "-"
            ? result_json(result)
            : result_tables(result, newest_in(arguments.checkpoint), arguments.verbose, Terminal::of(1)));
  return ExitCode::done;
}

}  // namespace

void add_run(CLI::App& program, Command& chosen) {
  const auto arguments = std::make_shared<RunArguments>();
  CLI::App* command = program.add_subcommand("run", "train (or infer, when the file says so), then evaluate");
  add_graph_options(*command, *arguments);
  add_init_option(*command, *arguments);
  auto* checkpoint =
      command
          ->add_option("--checkpoint", arguments->checkpoint, "write DIR/epoch-0001.safetensors, ... after every epoch")
          ->option_text("DIR");
  command->add_flag("--resume", arguments->resume, "go on from the newest whole checkpoint of --checkpoint")
      ->needs(checkpoint)
      ->option_text(" ");
  command->add_option("--json", arguments->json, "the result as JSON; '-' is standard output")->option_text("FILE");
  add_report_option(*command, arguments->report);
  add_trace_options(*command, arguments->trace);
  command->footer(
      "Examples:\n"
      "  lenet-flow run graphs/split_conv_gpu.json\n"
      "  lenet-flow run graphs/lenet5.json --epochs 3 --limit 10000 --json -\n"
      "  lenet-flow run graphs/lenet5.json --set layers.conv2.device=cpu0 --set pipeline.micro_batch=8\n"
      "  lenet-flow run graphs/split_conv_gpu.json --map gpu0=cpu\n"
      "  lenet-flow run graphs/lenet5.json --checkpoint saved --resume\n"
      "  lenet-flow run graphs/lenet5_two_cores.json --epochs 1 --report report.html\n"
      "  lenet-flow run graphs/lenet5_two_cores.json --trace trace.json.gz --sample 10");
  command->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace lenet_flow
