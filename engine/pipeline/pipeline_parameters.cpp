#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/pipeline/pipeline.h"

namespace lenet_flow {
/// Calls visit(device, view, first) for every piece of a parameter (state < 0) or of one of its states, where the layer
/// has it: `first` is the piece's first element in the whole.
template <typename Visit>
void Pipeline::for_each_piece(const FileParameter& parameter, int state, Visit&& visit) const {
  for (const FileParameter::Piece& piece : parameter.pieces) {
    const int stage = network_.layers[static_cast<std::size_t>(piece.layer)].stage;
    StageMemory& unit = *memories_[static_cast<std::size_t>(stage)][0];
    const LayerMemory& memory = unit.layer(piece.layer);
    const auto place = std::find(memory.layers.begin(), memory.layers.end(), piece.layer) - memory.layers.begin();
    const std::size_t number =
        memory.first_parameter[static_cast<std::size_t>(place)] + static_cast<std::size_t>(piece.parameter);
    if (state < 0)
      visit(unit.device(), memory.parameters[number], piece.first);
    else if (static_cast<std::size_t>(state) < memory.states[number].size())
      visit(unit.device(), memory.states[number][static_cast<std::size_t>(state)], piece.first);
  }
}

std::vector<NamedTensor> Pipeline::parameters(bool with_state) const {
  std::vector<NamedTensor> tensors;
  const std::vector<std::string> states =
      with_state && optimizer_ ? optimizer_->state_names() : std::vector<std::string>();
  for (const FileParameter& parameter : file_parameters(network_)) {
    const std::int64_t elements = parameter.spec.elements();
    for (int state = -1; state < static_cast<int>(states.size()); ++state) {
      NamedTensor tensor{parameter.name, parameter.spec.shape, {}};
      if (state >= 0) tensor.name += "#" + states[static_cast<std::size_t>(state)];
      for_each_piece(parameter, state, [&](Device& device, const ParameterView& from, std::int64_t first) {
        tensor.values.resize(static_cast<std::size_t>(elements));
        device.read_parameter(
            from,
            std::span(tensor.values).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(from.elements)));
      });
      if (!tensor.values.empty()) tensors.push_back(std::move(tensor));
    }
  }
  return tensors;
}

bool Pipeline::set_parameters(const ParameterFile& file, const std::string& path) {
  std::map<std::string, const NamedTensor*> by_name;
  for (const NamedTensor& tensor : file.tensors) by_name[tensor.name] = &tensor;
  const std::vector<std::string> states = optimizer_ ? optimizer_->state_names() : std::vector<std::string>();
  const std::vector<FileParameter> parameters = file_parameters(network_);
  std::vector<Diagnostic> problems;
  const auto refuse = [&](const std::string& name, const std::string& problem) {
    Diagnostic& diagnostic = problems.emplace_back();
    diagnostic.where.file = path;
    diagnostic.field = name;
    diagnostic.message = problem;
  };
  bool all_states = true;
  std::set<std::string> known;
  for (const FileParameter& parameter : parameters) {
    known.insert(parameter.name);
    const auto found = by_name.find(parameter.name);
    if (found == by_name.end())
      refuse(parameter.name, "is not in the file");
    else if (found->second->shape != parameter.spec.shape)
      refuse(parameter.name, fmt::format("has shape [{}], the network needs [{}]",
                                         fmt::join(found->second->shape, ", "), fmt::join(parameter.spec.shape, ", ")));
    for (const std::string& state : states) {
      const auto kept = by_name.find(parameter.name + "#" + state);
      all_states = all_states &&
                   (!parameter.spec.trained || (kept != by_name.end() && kept->second->shape == parameter.spec.shape));
    }
  }
  for (const NamedTensor& tensor : file.tensors)
    if (!known.contains(tensor.name.substr(0, tensor.name.find('#'))))
      refuse(printable(tensor.name), "this network has no such parameter");
  if (!problems.empty()) throw InputError(problems);
  for (const FileParameter& parameter : parameters) {
    for (int state = -1; state < (all_states ? static_cast<int>(states.size()) : 0); ++state) {
      if (state >= 0 && !parameter.spec.trained) continue;
      const std::string name =
          state < 0 ? parameter.name : parameter.name + "#" + states[static_cast<std::size_t>(state)];
      const std::span<const float> values = by_name.at(name)->values;
      for_each_piece(parameter, state, [&](Device& device, const ParameterView& to, std::int64_t first) {
        device.write_parameter(values.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(to.elements)),
                               to);
      });
    }
  }
  return all_states;
}

}  // namespace lenet_flow
