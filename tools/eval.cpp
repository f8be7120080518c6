#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "engine/training/version.h"
#include "tools/commands.h"
#include "tools/graph_options.h"
#include "tools/interrupt.h"
#include "tools/json_text.h"
#include "tools/output_file.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

struct EvalArguments : GraphArguments {
  std::string parameters, predictions, json;
};

/// A field of a CSV file (RFC 4180): quoted where it must be.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

/// Index, label, predicted, and a probability a class. Nine digits give every float back.
std::string predictions_csv(const Evaluation& evaluation) {
  fmt::memory_buffer csv;
  const auto out = fmt::appender(csv);
  fmt::format_to(out, "index,label,predicted");
  for (const std::string& name : evaluation.class_names) fmt::format_to(out, ",{}", csv_field(name));
  fmt::format_to(out, "\n");
  const std::size_t classes = evaluation.class_names.size();
  for (std::size_t image = 0; image < evaluation.labels.size(); ++image) {
    fmt::format_to(out, "{},{},{}", image, evaluation.labels[image], evaluation.predicted[image]);
    for (std::size_t i = 0; i < classes; ++i)
      fmt::format_to(out, ",{:.9g}", evaluation.probabilities[image * classes + i]);
    fmt::format_to(out, "\n");
  }
  return fmt::to_string(csv);
}

/// Schema lenet-flow.eval/1.
std::string evaluation_json(const Evaluation& evaluation, const EvalArguments& arguments) {
  Json::Value json;
  json["schema"] = "lenet-flow.eval/1";
  json["version"] = LENET_FLOW_VERSION;
  json["graph"] = arguments.graph.string();
  json["parameters"] = arguments.parameters;
  json["images"] = Json::Int64{evaluation.images};
  json["test_accuracy"] = json_number(evaluation.accuracy);
  json["test_loss"] = json_number(evaluation.loss);
  json["warnings"] = json_list(evaluation.warnings);
  return json_text(json);
}

ExitCode eval(const EvalArguments& arguments) {
  ProgressDisplay display(Terminal::of(2), arguments.verbosity());
  const RunOptions options = run_options(arguments, display);
  std::optional<OutputFile> predictions, json;
  if (!arguments.predictions.empty()) predictions.emplace("--predictions", arguments.predictions);
  if (!arguments.json.empty() && arguments.json != "-") json.emplace("--json", arguments.json);
  stop_gently();
  const Evaluation evaluation = evaluate_graph(options, arguments.parameters, predictions.has_value());
  display.clear();
  if (evaluation.interrupted) return ExitCode::interrupted;
  if (predictions) predictions->write(predictions_csv(evaluation));
  const std::string result = evaluation_json(evaluation, arguments);
  if (json) json->write(result);
  if (arguments.json == "-")
    print(result);
  else
    print(fmt::format("test accuracy  {}\ntest loss      {}\nimages         {}\n", percent_text(evaluation.accuracy),
                      number_text(evaluation.loss), count_text(evaluation.images)));
  return ExitCode::done;
}

}  // namespace

void add_eval(CLI::App& program, Command& chosen) {
  const auto arguments = std::make_shared<EvalArguments>();
  CLI::App* command = program.add_subcommand("eval", "accuracy and loss on the test split with given parameters");
  add_graph_options(*command, *arguments);
  command->add_option("--parameters", arguments->parameters, "the parameters (safetensors; a checkpoint is one)")
      ->option_text("FILE")
      ->required();
  command
      ->add_option("--predictions", arguments->predictions, "write index, label, predicted, one column a class (CSV)")
      ->option_text("FILE");
  command->add_option("--json", arguments->json, "the result as JSON; '-' is standard output")->option_text("FILE");
  command->footer(
      "Examples:\n"
      "  lenet-flow eval graphs/lenet5.json --parameters saved/epoch-0010.safetensors\n"
      "  lenet-flow eval graphs/lenet5.json --parameters lenet5.safetensors --predictions predictions.csv");
  command->callback([arguments, &chosen] { chosen = [arguments] { return eval(*arguments); }; });
}

}  // namespace lenet_flow
