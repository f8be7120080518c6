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
  std::string steps = "0", json, reference = "sequential";
};

/// Prints a result and writes it to --json.
template <typename Result>
ExitCode tell(const Result& result, const VerifyArguments& arguments, std::optional<OutputFile>& json) {
  const std::string text = verification_json(result, arguments.graph.string());
  if (json) json->write(text);
  print(arguments.json == "-" ? text : verification_text(result, Terminal::of(1)));
  return exit_code_of(result);
}

ExitCode verify(const VerifyArguments& arguments) {
  ProgressDisplay display(Terminal::of(2), arguments.verbosity());
  const RunOptions options = run_options(arguments, display);
  const bool layers = arguments.reference == "cpu";
  if (layers && arguments.steps != "0")
    throw InputError("--steps: --reference cpu trains no step; it compares every layer on one micro-batch");
  std::optional<OutputFile> json;
  if (!arguments.json.empty() && arguments.json != "-") json.emplace("--json", arguments.json);
  if (layers) return tell(verify_layers(options), arguments, json);
  stop_gently();
  const Verification verification = verify_graph(options, std::stoull(arguments.steps));
  display.clear();
  if (verification.interrupted) return ExitCode::interrupted;
  return tell(verification, arguments, json);
}

std::string loss_text(const LossDifference& difference) {
  return fmt::format("the loss of micro-batch {} is {:.17g}, by 'sequential' {:.17g}", difference.micro_batch,
                     difference.loss, difference.reference);
}

std::string element_text(const TensorDifference& difference) {
  return fmt::format("{}[{}] is {:.9g}, by 'sequential' {:.9g}", difference.tensor, difference.first, difference.value,
                     difference.reference);
}

/// The first tensor of the layer that the difference is told of; null where none is known.
const TensorDifference* tensor_told(const FirstDifference& first) {
  for (const TensorDifference& difference : first.tensors)
    if (difference.layer == first.layer) return &difference;
  return nullptr;
}

/// Where the difference begins, in words.
std::string first_text(const FirstDifference& first) {
  const TensorDifference* tensor = tensor_told(first);
  std::string text = fmt::format("first: step {}, ", first.step);
  if (first.loss)
    text += loss_text(*first.loss);
  else
    text += fmt::format("layer '{}'", first.layer);
  if (tensor)
    text +=
        fmt::format("{} {}", first.loss ? fmt::format("; then layer '{}':", first.layer) : ":", element_text(*tensor));
  if (!first.reproduced)
    return text + "\ntrained again over these steps it did not show: it comes and goes, or needs the longer pass\n";
  text += first.step == 1 ? "\nboth start from the same parameters"
                          : fmt::format("\nafter step {} all is equal", first.step - 1);
  if (!first.loss)
    text +=
        "; every loss of this step is equal too: it began in a backward or the update, and of the layers that "
        "differ this one is the nearest to the output";
  return text + '\n';
}

std::string tensor_table(const std::vector<TensorDifference>& differences, const Terminal& terminal) {
  Table table({{"tensor", Table::Align::left},
               {"elements"},
               {"different"},
               {"largest difference"},
               {"first"},
               {"value"},
               {"by 'sequential'"}});
  for (const TensorDifference& difference : differences)
    table.add_row({difference.tensor, count_text(difference.elements), count_text(difference.different),
                   fmt::format("{:.3g}", difference.largest), std::to_string(difference.first),
                   fmt::format("{:.9g}", difference.value), fmt::format("{:.9g}", difference.reference)});
  return table.text(terminal);
}

Json::Value loss_json(const std::optional<LossDifference>& difference) {
  if (!difference) return {};
  Json::Value json;
  json["step"] = Json::UInt64{difference->step};
  json["micro_batch"] = difference->micro_batch;
  json["loss"] = json_number(difference->loss);
  json["reference"] = json_number(difference->reference);
  return json;
}

Json::Value tensors_json(const std::vector<TensorDifference>& differences) {
  Json::Value list(Json::arrayValue);
  for (const TensorDifference& difference : differences) {
    Json::Value& entry = list.append(Json::Value());
    entry["parameter"] = difference.tensor;
    entry["layer"] = difference.layer;
    entry["elements"] = Json::Int64{difference.elements};
    entry["different"] = Json::Int64{difference.different};
    entry["largest"] = json_number(difference.largest);
    entry["first"] = Json::Int64{difference.first};
    entry["value"] = json_number(static_cast<double>(difference.value));
    entry["reference"] = json_number(static_cast<double>(difference.reference));
  }
  return list;
}

Json::Value first_json(const std::optional<FirstDifference>& first) {
  if (!first) return {};
  Json::Value json;
  json["step"] = Json::UInt64{first->step};
  json["reproduced"] = first->reproduced;
  json["layer"] = first->layer.empty() ? Json::Value() : Json::Value(first->layer);
  json["loss"] = loss_json(first->loss);
  json["tensors"] = tensors_json(first->tensors);
  return json;
}

/// What both kinds of verification begin with.
Json::Value head_json(const std::string& graph, const char* reference, bool equal,
                      const std::vector<std::string>& warnings) {
  Json::Value json;
  json["schema"] = "lenet-flow.verify/1";
  json["version"] = LENET_FLOW_VERSION;
  json["graph"] = graph;
  json["reference"] = reference;
  json["equal"] = equal;
  json["warnings"] = json_list(warnings);
  return json;
}

/// "0.031" of the tolerance; "-" where there is no such tensor.
std::string share_text(const std::optional<double>& share) { return share ? fmt::format("{:.3g}", *share) : "-"; }

}  // namespace

std::string verification_text(const Verification& verification, const Terminal& terminal) {
  const std::string work =
      fmt::format("{} by '{}' and by 'sequential' on the same devices",
                  plural(static_cast<std::int64_t>(verification.steps), "step"), verification.schedule);
  if (verification.equal())
    return fmt::format("equal: {}: {} ({}), {} and {} are the same bit for bit\nsha256 {}\n", work,
                       plural(verification.parameters, "parameter"), plural(verification.elements, "element"),
                       plural(verification.states, "tensor") + " of optimizer state",
                       plural(verification.losses, "loss"), verification.sha256);
  std::string text = fmt::format("different: {}: {} of {} differ at the end\n", work,
                                 count_text(static_cast<std::int64_t>(verification.differences.size())),
                                 plural(verification.parameters + verification.states, "tensor"));
  if (verification.first) text += first_text(*verification.first);
  if (verification.first && !verification.first->tensors.empty())
    text += fmt::format("\nafter step {}:\n{}", verification.first->step,
                        tensor_table(verification.first->tensors, terminal));
  if (!verification.differences.empty() && (!verification.first || verification.first->step != verification.steps))
    text += fmt::format("\nafter step {}:\n{}", verification.steps, tensor_table(verification.differences, terminal));
  return text;
}

std::string verification_json(const Verification& verification, const std::string& graph) {
  Json::Value json = head_json(graph, "sequential", verification.equal(), verification.warnings);
  json["schedule"] = verification.schedule;
  json["steps"] = Json::UInt64{verification.steps};
  json["losses"] = Json::Int64{verification.losses};
  json["parameters"] = Json::Int64{verification.parameters};
  json["elements"] = Json::Int64{verification.elements};
  json["optimizer_states"] = Json::Int64{verification.states};
  json["parameters_sha256"] = verification.sha256;
  json["reference_sha256"] = verification.reference_sha256;
  json["first_loss"] = loss_json(verification.loss);
  json["differences"] = tensors_json(verification.differences);
  json["first"] = first_json(verification.first);
  return json_text(json);
}

ExitCode exit_code_of(const Verification& verification) {
  return verification.equal() ? ExitCode::done : ExitCode::limit_exceeded;
}

std::string verification_text(const LayerVerification& verification, const Terminal& terminal) {
  Table table({{"layer", Table::Align::left},
               {"type", Table::Align::left},
               {"device", Table::Align::left},
               {"on", Table::Align::left},
               {"compared with", Table::Align::left},
               {"tolerance"},
               {"output"},
               {"input gradient"},
               {"parameter gradient"},
               {"statistics"},
               {"", Table::Align::left}});
  std::int64_t outside = 0;
  for (const auto& layer : verification.layers) {
    outside += layer.worst() <= 1 ? 0 : 1;
    table.add_row({layer.name, layer.type, layer.device, layer.on, layer.reference,
                   layer.tolerance > 0 ? fmt::format("{:.0e}", layer.tolerance) : "exact", share_text(layer.output),
                   share_text(layer.input_gradients), share_text(layer.parameter_gradients),
                   share_text(layer.statistics), layer.worst() <= 1 ? "" : "outside"});
  }
  std::string text =
      outside == 0 ? "within tolerance: every layer" : fmt::format("different: {} outside", plural(outside, "row"));
  text += fmt::format(", on {} and the gradients that the CPU sends back\n\n{}\n", plural(verification.images, "image"),
                      table.text(terminal));
  text += "errors are the largest |a - b| / (1 + largest |b|) of a tensor, in units of the layer's tolerance\n";
  if (verification.cpu_only)
    text +=
        "every layer is on a CPU device here: CPU kernels were compared with the same ones on another number of "
        "cores, which shows nothing of a GPU\n";
  return text;
}

std::string verification_json(const LayerVerification& verification, const std::string& graph) {
  Json::Value json = head_json(graph, "cpu", verification.within(), verification.warnings);
  json["images"] = Json::Int64{verification.images};
  json["cpu_only"] = verification.cpu_only;
  Json::Value& layers = json["layers"] = Json::Value(Json::arrayValue);
  const auto share = [](const std::optional<double>& value) { return value ? json_number(*value) : Json::Value(); };
  for (const auto& layer : verification.layers) {
    Json::Value& entry = layers.append(Json::Value());
    entry["layer"] = layer.name;
    entry["type"] = layer.type;
    entry["device"] = layer.device;
    entry["on"] = layer.on;
    entry["compared_with"] = layer.reference;
    entry["tolerance"] = layer.tolerance;
    entry["within"] = layer.worst() <= 1;
    entry["output"] = share(layer.output);
    entry["input_gradient"] = share(layer.input_gradients);
    entry["parameter_gradient"] = share(layer.parameter_gradients);
    entry["statistics"] = share(layer.statistics);
  }
  return json_text(json);
}

ExitCode exit_code_of(const LayerVerification& verification) {
  return verification.within() ? ExitCode::done : ExitCode::limit_exceeded;
}

void add_verify(CLI::App& program, Command& chosen) {
  const auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* command =
      program.add_subcommand("verify", "compare with the sequential schedule bit for bit, or layers with the CPU's");
  add_graph_options(*command, *arguments);
  add_init_option(*command, *arguments);
  command->add_option("--steps", arguments->steps, "batches to train each way (one epoch)")
      ->option_text("N")
      ->check(whole_number(1, 1'000'000'000));
  command
      ->add_option("--reference", arguments->reference,
                   "'sequential': the same work by that schedule; 'cpu': each layer's kernels on a CPU")
      ->option_text("sequential|cpu")
      ->check(CLI::IsMember({"sequential", "cpu"}));
  command->add_option("--json", arguments->json, "the result as JSON; '-' is standard output")->option_text("FILE");
  command->footer(
      "By 'sequential' every loss, parameter and optimizer state must be the same in every bit; where they are not it\n"
      "says the first step and layer. With --reference cpu every layer gets equal inputs on its device and on a CPU "
      "and\n"
      "must agree within its tolerance. Exit code 4 where that is not so.\n"
      "\n"
      "Examples:\n"
      "  lenet-flow verify graphs/lenet5_two_cores.json --steps 100\n"
      "  lenet-flow verify graphs/split_conv_gpu.json --map gpu0=cpu --limit 1000\n"
      "  lenet-flow verify graphs/split_conv_gpu.json --reference cpu");
  command->callback([arguments, &chosen] { chosen = [arguments] { return verify(*arguments); }; });
}

}  // namespace lenet_flow
