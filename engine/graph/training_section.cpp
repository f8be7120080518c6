#include <fmt/format.h>

#include "engine/graph/sections.h"

namespace lenet_flow {
namespace {

using Kind = JsonValue::Kind;

constexpr std::size_t most_steps = 100;  // of preprocessing or augmentation
constexpr double most_epochs = 1e6;
constexpr double largest_batch = 1 << 20;
constexpr double largest_seed = 9223372036854775807.0;
constexpr double standard_scale = 0.00392156862745098;  // 1/255: pixels to [0, 1]
constexpr double standard_learning_rate = 0.01;

/// A list of typed objects: "preprocess", "augment".
std::vector<TypedEntry> read_steps(ObjectReader& data, const std::string& key, const std::vector<EntryType>& types) {
  std::vector<TypedEntry> steps;
  const std::vector<JsonValue>* list = data.list(key, "a list of steps: [ {\"type\": ...}, ... ]");
  if (!list) return steps;
  if (list->size() > most_steps) {
    data.problems().add(data.where(key), data.field(key),
                        fmt::format("expected at most {} steps, got {}", most_steps, list->size()));
    return steps;
  }
  for (std::size_t i = 0; i < list->size(); ++i)
    steps.push_back(read_typed_entry(data.problems(), (*list)[i], fmt::format("{}[{}]", data.field(key), i), types,
                                     key == "augment" ? "augmentation step" : "preprocessing step"));
  return steps;
}

bool is_set_name(const std::string& name) {
  return !name.empty() && name.size() <= 100 && name.front() != '.' && name.find_first_of("/\\") == std::string::npos &&
         printable(name, name.size()) == name;
}

void read_mode(ObjectReader& training, TrainingEntry& entry) {
  const JsonValue* mode = training.find("mode");
  if (!mode) return;
  if (mode->is(Kind::string) && mode->string == "infer")
    entry.mode = Mode::infer;
  else if (!mode->is(Kind::string) || mode->string != "train")
    add_expected(training.problems(), *mode, training.field("mode"), "\"train\" or \"infer\"");
}

void set_standards(TrainingEntry& training) {
  if (const OptimizerType* sgd = find_optimizer_type("sgd")) {
    training.optimizer = standard_entry(*sgd);
    training.optimizer.attributes.set("learning_rate", standard_learning_rate);
  }
  training.schedule = standard_entry(learning_rate_types().front());
}

}  // namespace

void read_data(ObjectReader& root, GraphFile& file) {
  const JsonValue* value = root.require("data", "an object such as {\"set\": \"mnist\"}");
  if (!value) return;
  ObjectReader data(root.problems(), *value, "data");
  file.data.where = data.where();
  file.data.where_set = data.where("set");
  const std::string right = "the name of a data set (a known one, or a folder under --data), not a path";
  if (const JsonValue* set = data.require("set", right)) {
    if (set->is(Kind::string) && is_set_name(set->string))
      file.data.set = set->string;
    else
      add_expected(root.problems(), *set, "data.set", right);
  }
  data.boolean("shuffle", file.data.shuffle);
  if (data.find("preprocess")) {
    file.data.preprocess = read_steps(data, "preprocess", preprocess_types());
  } else {
    TypedEntry scale;
    scale.type = "scale";
    scale.attributes.set("by", standard_scale);
    scale.where = data.where();
    file.data.preprocess = {std::move(scale)};
  }
  file.data.augment = read_steps(data, "augment", augment_types());
  data.finish();
}

void read_loss(ObjectReader& root, GraphFile& file) {
  if (const JsonValue* value = root.require("loss", "an object such as {\"type\": \"softmax_cross_entropy\"}"))
    file.loss = read_typed_entry(root.problems(), *value, "loss", loss_types(), "loss");
}

void read_training(ObjectReader& root, GraphFile& file) {
  set_standards(file.training);
  const JsonValue* value = root.find("training");
  if (!value) return;
  ObjectReader training(root.problems(), *value, "training");
  TrainingEntry& entry = file.training;
  read_mode(training, entry);
  training.integer("epochs", entry.epochs, 1, most_epochs);
  training.integer("batch", entry.batch, 1, largest_batch);
  training.integer("seed", entry.seed, 0, largest_seed);
  if (const JsonValue* optimizer = training.find("optimizer"))
    entry.optimizer =
        read_typed_entry(root.problems(), *optimizer, "training.optimizer", optimizer_types(), "optimizer", "sgd");
  if (const JsonValue* schedule = training.find("schedule"))
    entry.schedule = read_typed_entry(root.problems(), *schedule, "training.schedule", learning_rate_types(),
                                      "learning-rate schedule", "constant");
  training.finish();
}

}  // namespace lenet_flow
