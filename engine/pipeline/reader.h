#pragma once

#include <tbb/flow_graph.h>
#include <tbb/task_arena.h>

#include <cstdint>
#include <memory>

#include "engine/data/image_source.h"
#include "engine/pipeline/run_state.h"

namespace lenet_flow {

/// The source stage: decodes and augments micro-batches, several at a time, in a flow graph and arena of its own (its
/// threads are not pinned: they take what time the devices leave). How far it reads ahead is the caller's business.
class Reader {
 public:
  Reader(RunState& state, int threads);
  ~Reader();

  /// The pictures of the passes that follow. Not while one runs.
  void use(const ImageSource& source) { source_ = &source; }
  /// Starts on a micro-batch whose samples and pixels' place are set; when it is done the entry stages get a token.
  /// A picture that cannot be read fails the pass. Returns at once.
  void read(std::int64_t micro_batch);
  /// Until all that was started is done.
  void wait();

 private:
  void decode(std::int64_t micro_batch) noexcept;

  RunState& state_;
  const ImageSource* source_ = nullptr;
  tbb::task_arena arena_;
  std::unique_ptr<tbb::flow::graph> graph_;
  std::unique_ptr<tbb::flow::function_node<std::int64_t, std::int64_t>> decode_;
  std::unique_ptr<tbb::flow::function_node<std::int64_t, tbb::flow::continue_msg, tbb::flow::lightweight>> announce_;
};

}  // namespace lenet_flow
