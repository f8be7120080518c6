#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/trace/record.h"
#include "layers/kernel.h"

namespace lenet_flow {

/// A micro-batch on its way through a pass (an epoch of training, an evaluation): what travels beside its tensors.
/// Tokens carry only its number; the entries lie in a ring that the feeder does not overrun.
struct MicroBatch {
  std::int64_t number = 0;  ///< in the pass, from 0
  std::int64_t batch = 0;   ///< batch of the pass that it belongs to, from 0
  int index = 0;            ///< in its batch, from 0
  std::int64_t images = 0;
  std::int64_t batch_images = 0;       ///< of its whole batch
  std::int64_t first = 0;              ///< place of its first image in the pass
  std::vector<std::uint32_t> samples;  ///< number of each image in the data set
  std::vector<std::int32_t> labels;    ///< one an image
  std::span<float> pixels;             ///< [image][channel][row][column], written by the reader
  ReadRecord read;                     ///< by the reader, before its token
  std::atomic<int> readers_left{0};    ///< entry stages that have not taken the pixels
  std::atomic<int> stages_left{0};     ///< stages that have not ended their work on it
};

/// How a pass is cut: images into batches, batches into micro-batches. All but the last batch are full, and all but the
/// last micro-batch of a batch.
struct BatchCut {
  std::int64_t images = 0;  ///< of the pass
  std::int64_t batch = 1, micro_batch = 1;

  std::int64_t batches() const { return (images + batch - 1) / batch; }
  std::int64_t batch_images(std::int64_t number) const {
    return number + 1 < batches() ? batch : images - (batches() - 1) * batch;
  }
  /// Micro-batches of a full batch, and of batch `number`.
  int micro_batches() const { return static_cast<int>((batch + micro_batch - 1) / micro_batch); }
  int micro_batches(std::int64_t number) const {
    return static_cast<int>((batch_images(number) + micro_batch - 1) / micro_batch);
  }
  /// Micro-batches of the whole pass.
  std::int64_t micro_batches_in_pass() const {
    return images == 0 ? 0 : (batches() - 1) * micro_batches() + micro_batches(batches() - 1);
  }
  /// The batch of micro-batch `number` of the pass, and its place in it.
  std::int64_t batch_of(std::int64_t number) const { return number / micro_batches(); }
  int index_of(std::int64_t number) const { return static_cast<int>(number % micro_batches()); }
  /// Images of one micro-batch of a batch.
  std::int64_t micro_batch_images(std::int64_t number, int index) const {
    return std::min(micro_batch, batch_images(number) - index * micro_batch);
  }
};

/// How the replicas of a stage share micro-batches: number i of a batch goes to replica i mod `replicas`. Each replica
/// counts its own micro-batches from 0 through a pass: its sequence, which numbers its memory slots.
struct ReplicaShare {
  int replicas = 1, micro_batches = 1;  ///< of a stage; of a full batch

  int replica(int index) const { return index % replicas; }
  /// Micro-batches of a full batch that replica `replica` works on.
  int count(int replica) const { return (micro_batches - replica + replicas - 1) / replicas; }
  std::int64_t sequence(std::int64_t batch, int index) const {
    return batch * count(replica(index)) + index / replicas;
  }
  /// The micro-batch of the pass at a place of a replica's sequence.
  std::int64_t micro_batch(int replica, std::int64_t sequence) const {
    const int per_batch = count(replica);
    return sequence / per_batch * micro_batches + sequence % per_batch * replicas + replica;
  }
};

}  // namespace lenet_flow
