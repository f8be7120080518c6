#include "engine/pipeline/reader.h"

#include <algorithm>

namespace lenet_flow {

Reader::Reader(RunState& state, int threads) : state_(state), arena_(threads + 1, 1) {
  arena_.execute([&] {
    namespace flow = tbb::flow;
    graph_ = std::make_unique<flow::graph>();
    decode_ = std::make_unique<flow::function_node<std::int64_t, std::int64_t>>(
        *graph_, static_cast<std::size_t>(threads), [this](std::int64_t micro_batch) {
          ReadRecord& read = state_.micro_batch(micro_batch).read;
          read.begin = steady_now();
          decode(micro_batch);
          read.end = steady_now();
          raise(state_.slowest_read, std::max<Nanoseconds>(1, read.end - read.begin));
          state_.reads_ended.fetch_add(1, std::memory_order_relaxed);
          return micro_batch;
        });
    announce_ = std::make_unique<flow::function_node<std::int64_t, flow::continue_msg, flow::lightweight>>(
        *graph_, flow::unlimited, [this](std::int64_t micro_batch) noexcept {
          const Nanoseconds now = state_.micro_batch(micro_batch).read.end;
          for (std::size_t i = 0; i < state_.stages.size(); ++i)
            if (state_.stages[i].entry)
              state_.post({micro_batch, now, static_cast<int>(i), -1, ActionKind::forward, Cause::pixels});
          return flow::continue_msg{};
        });
    flow::make_edge(*decode_, *announce_);
  });
}

Reader::~Reader() { wait(); }

void Reader::read(std::int64_t micro_batch) {
  state_.reads_begun.fetch_add(1, std::memory_order_relaxed);
  arena_.execute([&] { decode_->try_put(micro_batch); });
}

void Reader::wait() {
  arena_.execute([&] { graph_->wait_for_all(); });
}

void Reader::decode(std::int64_t number) noexcept {
  if (state_.failed()) return;
  const MicroBatch& micro_batch = state_.micro_batch(number);
  const auto elements = static_cast<std::size_t>(source_->shape().elements());
  try {
    for (std::size_t i = 0; i < micro_batch.samples.size(); ++i)
      source_->write(micro_batch.samples[i], state_.pass.epoch, state_.pass.mode == Mode::train,
                     micro_batch.pixels.subspan(i * elements, elements));
  } catch (...) {
    state_.fail({"reading the data failed", std::current_exception(), false, micro_batch.batch});
  }
}

}  // namespace lenet_flow
