#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "devices/machine.h"
#include "engine/graph/graphviz.h"
#include "engine/schedule/draw_schedule.h"
#include "engine/schedule/schedule_file.h"
#include "engine/training/describe.h"
#include "tools/commands.h"
#include "tools/graph_options.h"
#include "tools/network_tables.h"
#include "tools/output_file.h"
#include "tools/result_tables.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

struct CheckArguments : GraphArguments {
  std::string dot, draw, schedule_out;
};

std::uint64_t bytes_in_all(const PipelinePlan& plan, const DeviceSet& devices) {
  std::uint64_t bytes = plan.reader_bytes;
  for (int i = 0; i < devices.size(); ++i)
    if (devices.device(i).kind() == DeviceKind::cpu) bytes += plan.device_bytes(i);
  return bytes;
}

std::string work_text(const Session& session, const PipelineOptions& options, const PipelinePlan& plan) {
  const std::int64_t images = session.training() ? session.train_images() : session.test().size();
  const BatchCut cut = session.cut(images);
  std::string text = fmt::format("{}: {} {} on {}, {} in {}\n", session.file().name,
                                 session.training() ? "trains" : "infers", plural(images, "image"), session.data().name,
                                 session.network().input.text(), plural(session.network().classes, "class"));
  text += fmt::format("{} of {}, each in {} of {}; {} in flight\n", plural(cut.batches(), "batch"),
                      count_text(options.batch), plural(plan.shape.micro_batches, "micro-batch"),
                      count_text(options.micro_batch), plan.limits.in_flight);
  return text;
}

/// One batch with equal costs: F, I and W one unit, B two.
Simulation simulate_batch(const PipelinePlan& plan) {
  return simulate(plan.schedule, plan.sample_shape, ActionCosts::equal(plan.sample_shape), plan.limits);
}

/// Names of the drawing's rows, one a stage.
std::vector<std::string> stage_names(const Network& network) {
  std::vector<std::string> names;
  for (const Stage& stage : network.stages) names.push_back(stage.name);
  return names;
}

std::string schedule_title(const PipelineOptions& options, const PipelinePlan& plan) {
  std::string text = fmt::format("schedule '{}': {}, no deadlock", schedule_name(options),
                                 plural(plan.sample_shape.micro_batches, "micro-batch"));
  if (options.weight_versions != WeightVersions::flush) return text + " (some batches; no flush between them)";
  if (options.custom) return text;
  if (const auto bubble = find_schedule_type(schedule_name(options))->bubble(plan.shape))
    text += fmt::format("; idle in theory, were all stages equal: {}", percent_text(*bubble, 1));
  return text;
}

/// The times that schedule `auto` is made for; empty for others.
std::string costs_section(const Session& session, const PipelineOptions& options, const PipelinePlan& plan,
                          const Terminal& terminal) {
  if (schedule_name(options) != "auto") return "";
  return costs_table(cost_results(session.network(), plan), terminal) +
         "of one micro-batch, the update of a batch; `run` measures what is estimated here from the FLOPs\n\n";
}

std::string schedule_section(const Session& session, const PipelineOptions& options, const PipelinePlan& plan,
                             bool verbose, const Terminal& terminal) {
  std::string text = styled(terminal, Style::bold, schedule_title(options, plan)) + '\n';
  text += draw_schedule_text(simulate_batch(plan), plan.sample_shape, stage_names(session.network()), terminal.columns,
                             terminal.colour);
  if (verbose)
    for (int i = 0; i < session.devices().size(); ++i)
      text += fmt::format("{}: {}\n", session.devices().device(i).name(),
                          schedule_text(plan.schedule[static_cast<std::size_t>(i)]));
  return text;
}

ExitCode check(const CheckArguments& arguments) {
  ProgressDisplay display(Terminal::of(2), arguments.verbosity());
  const RunOptions run = run_options(arguments, display);
  std::optional<OutputFile> dot, draw, schedule_out;
  if (!arguments.dot.empty() && arguments.dot != "-") dot.emplace("--dot", arguments.dot);
  if (!arguments.draw.empty()) draw.emplace("--draw", arguments.draw);
  if (!arguments.schedule_out.empty()) schedule_out.emplace("--schedule-out", arguments.schedule_out);
  Session session(run, Session::Data::shapes);
  const Network& network = session.network();
  const PipelineOptions options = session.pipeline_options();
  const PipelinePlan plan =
      plan_pipeline(network, session.devices(), options, session.training() ? &session.optimizer() : nullptr);
  if (const auto bytes = bytes_in_all(plan, session.devices()); bytes > Machine::available_bytes())
    session.warn(fmt::format("this needs {}, more than the {} that this machine has free", bytes_text(bytes),
                             bytes_text(Machine::available_bytes())));
  if (dot) dot->write(graphviz(network));
  if (draw)
    draw->write(draw_schedule_svg(simulate_batch(plan), plan.sample_shape, stage_names(network),
                                  fmt::format("{}: {}", session.file().name, schedule_title(options, plan))));
  if (schedule_out) schedule_out->write(schedule_csv(plan.schedule, plan.sample_shape));
  if (arguments.dot == "-") {
    print(graphviz(network));
    return ExitCode::done;
  }
  const Terminal terminal = Terminal::of(1);
  std::string text = work_text(session, options, plan) + "\n" + layer_table(network, terminal) +
                     "FLOPs and bytes are those of one image\n\n" + stage_table(network, arguments.verbose, terminal) +
                     "\n";
  if (const std::string links = link_table(network, plan, options.micro_batch, terminal); !links.empty())
    text += links + "\n";
  text += memory_table(session.devices(), plan, terminal) + "\n";
  if (const std::string recompute = recompute_table(network, plan, terminal); !recompute.empty())
    text += recompute + "\n";
  text += costs_section(session, options, plan, terminal);
  text += schedule_section(session, options, plan, arguments.verbose, terminal);
  print(text);
  return ExitCode::done;
}

}  // namespace

void add_check(CLI::App& program, Command& chosen) {
  const auto arguments = std::make_shared<CheckArguments>();
  CLI::App* command = program.add_subcommand("check", "say all that can be known without running, draw the pipeline");
  add_graph_options(*command, *arguments);
  command->add_option("--dot", arguments->dot, "write the network for Graphviz; '-' is standard output")
      ->option_text("FILE");
  command->add_option("--draw", arguments->draw, "draw the schedule as an SVG picture")->option_text("FILE.svg");
  command->add_option("--schedule-out", arguments->schedule_out, "write the schedule as CSV, one line a device")
      ->option_text("FILE.csv");
  command->footer(
      "The data need not be there for known sets. Exit code 2 where the file is wrong.\n"
      "\n"
      "Examples:\n"
      "  lenet-flow check graphs/lenet5_four_stages.json\n"
      "  lenet-flow check graphs/split_conv_gpu.json --set pipeline.micro_batch=8\n"
      "  lenet-flow check graphs/residual_mnist.json --dot - | dot -Tsvg > residual.svg");
  command->callback([arguments, &chosen] { chosen = [arguments] { return check(*arguments); }; });
}

}  // namespace lenet_flow
