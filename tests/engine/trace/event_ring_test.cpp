#include "engine/trace/event_ring.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace lenet_flow;

namespace {

Event numbered(int number) { return {.time = number, .micro_batch = number, .type = EventType::step}; }

std::vector<Event> read_all(EventRing& ring) {
  std::vector<Event> events;
  ring.read([&](const Event& event) { events.push_back(event); });
  return events;
}

}  // namespace

TEST_CASE("a ring gives back what was written, round after round") {
  EventRing ring(8);
  int next = 0;
  for (int round = 0; round < 5; ++round) {
    const int first = next;
    for (int i = 0; i < 6; ++i) ring.write(numbered(next++));
    const auto events = read_all(ring);
    REQUIRE(events.size() == 6);
    for (int i = 0; i < 6; ++i) CHECK(events[static_cast<std::size_t>(i)].micro_batch == first + i);
  }
  CHECK(ring.lost() == 0);
  CHECK(read_all(ring).empty());
}

TEST_CASE("a full ring drops events, counts them and says where they are missing") {
  EventRing ring(8);
  for (int i = 0; i < 20; ++i) ring.write(numbered(i));
  const auto before = read_all(ring);
  const std::uint64_t lost = ring.lost();
  CHECK(lost == 20 - before.size());
  REQUIRE(lost > 0);
  ring.write(numbered(100));
  const auto after = read_all(ring);
  REQUIRE(after.size() == 2);
  CHECK(after[0].type == EventType::lost);
  CHECK(after[0].micro_batch == static_cast<int>(lost));
  CHECK(after[1].micro_batch == 100);
  CHECK(ring.lost() == lost);
}

TEST_CASE("one thread writes while another reads: nothing is torn, and all are read or counted") {
  EventRing ring(64);
  constexpr int events = 200'000;
  std::thread writer([&] {
    for (int i = 0; i < events; ++i) ring.write(numbered(i));
  });
  std::int64_t read = 0, said_lost = 0, last = -1;
  bool in_order = true;
  const auto take = [&](const Event& event) {
    if (event.type == EventType::lost) {
      said_lost += event.micro_batch;
      return;
    }
    ++read;
    in_order = in_order && event.time == event.micro_batch && event.micro_batch > last;
    last = event.micro_batch;
  };
  while (last < events / 2 && read + static_cast<std::int64_t>(ring.lost()) < events) ring.read(take);
  writer.join();
  ring.read(take);
  CHECK(in_order);
  CHECK(read + static_cast<std::int64_t>(ring.lost()) == events);
  CHECK(said_lost <= static_cast<std::int64_t>(ring.lost()));
}
