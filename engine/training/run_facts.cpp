#include "engine/training/run_facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/graph/diagnostics.h"
#include "layers/cpu/simd.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

struct Fact {
  const char* key;
  const char* name;  ///< as the graph file or the command line has it
  bool must_match;
};

constexpr std::string_view layers_key = "lenet-flow.layers";  // a digest: its value tells people nothing

constexpr Fact facts[] = {
    {"lenet-flow.seed", "training.seed", true},
    {"lenet-flow.batch_size", "training.batch", true},
    {"lenet-flow.micro_batch", "pipeline.micro_batch", true},
    {"lenet-flow.data_set", "data.set", true},
    {"lenet-flow.images", "number of training images (--limit)", true},
    {"lenet-flow.shuffle", "data.shuffle", true},
    {"lenet-flow.optimizer", "training.optimizer.type", true},
    {"lenet-flow.optimizer_attributes", "training.optimizer", false},
    {"lenet-flow.schedule", "training.schedule", false},
    {"lenet-flow.loss", "loss", false},
    {"lenet-flow.preprocess", "data.preprocess", false},
    {"lenet-flow.augment", "data.augment", false},
    {"lenet-flow.layers", "layers", false},
    {"lenet-flow.simd", "SIMD target", false},
};

std::string text_of(const Attributes& attributes, const AttributeSpec& spec) {
  switch (spec.kind) {
    case AttributeKind::integer: return std::to_string(attributes.integer(spec.name));
    case AttributeKind::number: return fmt::format("{}", attributes.number(spec.name));
    case AttributeKind::boolean: return attributes.boolean(spec.name) ? "true" : "false";
    case AttributeKind::extent: {
      const Extent extent = attributes.extent(spec.name);
      return fmt::format("[{}, {}]", extent.height, extent.width);
    }
    case AttributeKind::padding: {
      const Padding padding = attributes.padding(spec.name);
      if (padding.rule == Padding::Rule::same) return "same";
      if (padding.rule == Padding::Rule::valid) return "valid";
      return fmt::format("[{}, {}]", padding.extent.height, padding.extent.width);
    }
    case AttributeKind::choice: return attributes.choice(spec.name);
    case AttributeKind::numbers: return fmt::format("[{}]", fmt::join(attributes.numbers(spec.name), ", "));
  }
  return "";
}

/// "sgd learning_rate=0.05 momentum=0.9 nesterov=false weight_decay=0".
std::string text_of(const std::string& type, const Attributes& attributes, std::span<const AttributeSpec> specs) {
  std::string text = type;
  for (const AttributeSpec& spec : specs)
    if (attributes.has(spec.name)) text += fmt::format(" {}={}", spec.name, text_of(attributes, spec));
  return text;
}

/// An entry of a type that is in `types` (EntryType, LossType or OptimizerType).
template <typename Types>
std::string text_of(const TypedEntry& entry, const Types& types) {
  for (const auto& type : types)
    if (type.name == entry.type) return text_of(entry.type, entry.attributes, type.attributes);
  return entry.type;
}

template <typename Types>
std::string text_of(const std::vector<TypedEntry>& entries, const Types& types) {
  std::string text;
  for (const TypedEntry& entry : entries) text += (text.empty() ? "" : ", ") + text_of(entry, types);
  return text.empty() ? "none" : text;
}

/// "training.optimizer: sgd learning_rate=0.1, this run has sgd learning_rate=0.01".
std::string difference_text(const Fact& fact, const std::string& was, const std::string& mine) {
  if (std::string_view(fact.key) == layers_key) return "layers of other types, attributes or connections";
  return fmt::format("{}: {}, this run has {}", fact.name, was, mine);
}

/// The learning-rate schedule; those that go down to the end of the run depend on its length.
std::string schedule_text(const TrainingEntry& training) {
  const std::string text = text_of(training.schedule, learning_rate_types());
  const bool to_the_end = training.schedule.type == "cosine" || training.schedule.type == "linear";
  return to_the_end ? fmt::format("{} over {} epochs", text, training.epochs) : text;
}

/// A digest of all layers' names, types, attributes and connections; where they run is left out.
std::string layers_digest(const std::vector<LayerEntry>& layers) {
  std::string text;
  for (const LayerEntry& layer : layers)
    text +=
        fmt::format("{}: {} after {}\n", layer.name,
                    text_of(layer.type->name, layer.attributes, layer.type->attributes), fmt::join(layer.after, ", "));
  return sha256(std::as_bytes(std::span(text))).substr(0, 16);
}

}  // namespace

Metadata run_facts(const Session& session) {
  const GraphFile& file = session.file();
  return {{"lenet-flow.graph", file.name},
          {"lenet-flow.seed", std::to_string(file.training.seed)},
          {"lenet-flow.batch_size", std::to_string(file.training.batch)},
          {"lenet-flow.micro_batch", std::to_string(session.cut(1).micro_batch)},
          {"lenet-flow.data_set", file.data.set},
          {"lenet-flow.images", std::to_string(session.train_images())},
          {"lenet-flow.shuffle", file.data.shuffle ? "true" : "false"},
          {"lenet-flow.optimizer", file.training.optimizer.type},
          {"lenet-flow.optimizer_attributes", text_of(file.training.optimizer, optimizer_types())},
          {"lenet-flow.schedule", schedule_text(file.training)},
          {"lenet-flow.loss", text_of(file.loss, loss_types())},
          {"lenet-flow.preprocess", text_of(file.data.preprocess, preprocess_types())},
          {"lenet-flow.augment", text_of(file.data.augment, augment_types())},
          {"lenet-flow.layers", layers_digest(file.layers)},
          {"lenet-flow.simd", std::string(simd_target())}};
}

std::vector<std::string> compare_facts(const Metadata& checkpoint, const Metadata& run,
                                       const std::filesystem::path& path) {
  std::vector<Diagnostic> problems;
  std::vector<std::string> warnings;
  for (const Fact& fact : facts) {
    const auto theirs = checkpoint.find(fact.key);
    const std::string& mine = run.at(fact.key);
    if (theirs != checkpoint.end() && theirs->second == mine) continue;
    const std::string was = theirs == checkpoint.end() ? "unknown" : printable(theirs->second, 300);
    if (fact.must_match) {
      Diagnostic& problem = problems.emplace_back();
      problem.where.file = path.string();
      problem.field = fact.name;
      problem.message = fmt::format(
          "the checkpoint was made with {}, this run has {}: it would not be the same run; "
          "--init FILE starts a new one from its parameters",
          was, mine);
    } else {
      warnings.push_back(
          fmt::format("{}: the checkpoint was made with {}; from here on the run differs from what it would "
                      "have been",
                      path.string(), difference_text(fact, was, mine)));
    }
  }
  if (!problems.empty()) throw InputError(problems);
  return warnings;
}

}  // namespace lenet_flow
