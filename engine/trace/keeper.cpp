#include "engine/trace/keeper.h"

namespace lenet_flow {

void Keeper::begin_pass(const PassTrace& pass) {
  if (passes_.size() == passes_kept_) passes_.erase(passes_.begin());
  passes_.emplace_back().pass = pass;
  first_step_.clear();
}

void Keeper::on_action(const ActionRecord& action) {
  KeptPass& pass = passes_.back();
  if (pass.actions.size() == most_) {
    pass.whole = false;
    return;
  }
  first_step_.push_back(pass.steps.size());
  pass.steps.insert(pass.steps.end(), action.steps.begin(), action.steps.end());
  pass.actions.push_back(action);
}

void Keeper::on_lost(int device, Nanoseconds from, Nanoseconds until) {
  KeptPass& pass = passes_.back();
  pass.whole = false;
  if (pass.losses.size() < most_) pass.losses.push_back({device, from, until});
}

void Keeper::on_sleep(int device, Nanoseconds from, Nanoseconds until) {
  KeptPass& pass = passes_.back();
  if (pass.sleeps.size() < most_) pass.sleeps.push_back({device, from, until});
}

void Keeper::end_pass(const PassEnd& end) {
  KeptPass& pass = passes_.back();
  pass.end = end;
  for (std::size_t i = 0; i < pass.actions.size(); ++i)
    pass.actions[i].steps = std::span(pass.steps).subspan(first_step_[i], pass.actions[i].steps.size());
}

}  // namespace lenet_flow
