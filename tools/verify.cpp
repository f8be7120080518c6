#include "tools/verify.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "engine/training/version.h"
#include "tools/commands.h"
#include "tools/graph_options.h"
#include "tools/interrupt.h"
#include "tools/json_text.h"
#include "tools/output_file.h"
#include "tools/table.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

struct VerifyArguments : GraphArguments {
  std::string steps = "0", json;
};

ExitCode verify(const VerifyArguments& arguments) {
  ProgressDisplay display(Terminal::of(2), arguments.verbosity());
  const RunOptions options = run_options(arguments, display);
  std::optional<OutputFile> json;
  if (!arguments.json.empty() && arguments.json != "-") json.emplace("--json", arguments.json);
  stop_gently();
  const Verification verification = verify_graph(options, std::stoull(arguments.steps));
  display.clear();
  if (verification.interrupted) return ExitCode::interrupted;
  const std::string result = verification_json(verification, arguments.graph.string());
  if (json) json->write(result);
  print(arguments.json == "-" ? result : verification_text(verification, Terminal::of(1)));
  return exit_code_of(verification);
}

}  // namespace

std::string verification_text(const Verification& verification, const Terminal& terminal) {
  const std::string work =
      fmt::format("{} by '{}' and by 'sequential' on the same devices",
                  plural(static_cast<std::int64_t>(verification.steps), "step"), verification.schedule);
  if (verification.equal())
    return fmt::format("equal: {}: {} ({}) are the same bit for bit\nsha256 {}\n", work,
                       plural(verification.parameters, "parameter"), plural(verification.elements, "element"),
                       verification.sha256);
  Table table({{"parameter", Table::Align::left}, {"elements"}, {"different"}, {"largest difference"}});
  for (const auto& difference : verification.differences)
    table.add_row({difference.parameter, count_text(difference.elements), count_text(difference.different),
                   fmt::format("{:.3g}", difference.largest)});
  return fmt::format("different: {}: {} of {} differ\n\n{}", work,
                     count_text(static_cast<std::int64_t>(verification.differences.size())),
                     plural(verification.parameters, "parameter"), table.text(terminal));
}

std::string verification_json(const Verification& verification, const std::string& graph) {
  Json::Value json;
  json["schema"] = "lenet-flow.verify/1";
  json["version"] = LENET_FLOW_VERSION;
  json["graph"] = graph;
  json["schedule"] = verification.schedule;
  json["steps"] = Json::UInt64{verification.steps};
  json["equal"] = verification.equal();
  json["parameters"] = Json::Int64{verification.parameters};
  json["elements"] = Json::Int64{verification.elements};
  json["parameters_sha256"] = verification.sha256;
  json["reference_sha256"] = verification.reference_sha256;
  Json::Value& differences = json["differences"] = Json::Value(Json::arrayValue);
  for (const auto& difference : verification.differences) {
    Json::Value entry;
    entry["parameter"] = difference.parameter;
    entry["elements"] = Json::Int64{difference.elements};
    entry["different"] = Json::Int64{difference.different};
    entry["largest"] = json_number(difference.largest);
    differences.append(entry);
  }
  json["warnings"] = json_list(verification.warnings);
  return json_text(json);
}

ExitCode exit_code_of(const Verification& verification) {
  return verification.equal() ? ExitCode::done : ExitCode::limit_exceeded;
}

void add_verify(CLI::App& program, Command& chosen) {
  const auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* command = program.add_subcommand(
      "verify", "run by the file's schedule and by 'sequential', compare every parameter's bits");
  add_graph_options(*command, *arguments);
  add_init_option(*command, *arguments);
  command->add_option("--steps", arguments->steps, "batches to train each way (one epoch)")
      ->option_text("N")
      ->check(whole_number(1, 1'000'000'000));
  command->add_option("--json", arguments->json, "the result as JSON; '-' is standard output")->option_text("FILE");
  command->footer(
      "Exit code 4 where a parameter differs.\n"
      "\n"
      "Examples:\n"
      "  lenet-flow verify graphs/lenet5_two_cores.json --steps 100\n"
      "  lenet-flow verify graphs/split_conv_gpu.json --map gpu0=cpu --limit 1000");
  command->callback([arguments, &chosen] { chosen = [arguments] { return verify(*arguments); }; });
}

}  // namespace lenet_flow
