#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/training/session.h"

namespace lenet_flow {

/// What decides which numbers a run trains, as metadata of its checkpoints: some must be the same to go on.
Metadata run_facts(const Session& session);

/// Compares a checkpoint's facts with this run's. Throws InputError, with both values, where going on would be another
/// run than the one that was stopped: seed, batch, micro-batch, data, images, order, optimizer. Where somebody may have
/// good reasons to go on differently (learning rate, schedule, augmentation, layers' attributes), returns a warning
/// for each.
std::vector<std::string> compare_facts(const Metadata& checkpoint, const Metadata& run,
                                       const std::filesystem::path& path);

}  // namespace lenet_flow
