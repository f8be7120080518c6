// The report's page, from records made by hand: what it holds is worked out here, not taken from the engine.

#include <doctest/doctest.h>
#include <json/json.h>

#include <memory>
#include <regex>
#include <sstream>

#include "engine/trace/report/predict.h"
#include "engine/trace/report/report.h"

using namespace lenet_flow;

namespace {

// What HTML, JavaScript, JSON or UTF-8 could stumble over.
const std::string hostile = "</script><script>alert(1)</script><!-- \"'\\ & {{timeline}} \u00e4\u6f22\u2028 --><b>";
const std::string hostile_stage = "conv</style>..`${x}`";

/// Two stages on two devices, two micro-batches in one batch.
class SmallRun {
 public:
  SmallRun() {
    pipeline_.stages = {hostile_stage, "tail"};
    pipeline_.devices = {"cpu0", "cpu1"};
    pipeline_.links = {{0, 1}};
    pipeline_.link_capacity = 2;
    const std::vector<std::string> update{"update"};
    pipeline_.units = {{0, 0, 0, true, {{hostile}, {}, {}, {hostile}, update}},
                       {1, 0, 1, false, {{"fc", "loss"}, {}, {}, {"fc"}, update}}};
    result_.graph = hostile;
    result_.warnings = {hostile};
    result_.seconds = 1e-6;
    for (const char* device : {"cpu0", "cpu1"}) {
      StageResult& stage = result_.stages.emplace_back();
      stage.name = pipeline_.stages[result_.stages.size() - 1];
      stage.device = device;
      stage.images = 8;
    }
    result_.steps.push_back(
        {.stage = hostile_stage, .device = "cpu0", .step = hostile, .action = ActionKind::backward});
    result_.steps.push_back({.stage = "tail", .device = "cpu1", .step = "loss", .action = ActionKind::forward});
    kept_.pass = {.epoch = 3, .micro_batches = 2, .batches = 1, .per_batch = 2, .images = 8, .begin = 1'000'000};
    kept_.end.end = kept_.pass.begin + 10'000;
    // Device 0 starts at once; its F take 1 us and 3 us. Device 1 fills until 1 us, then starves from 3 us to 4 us.
    add(0, ActionKind::forward, 0, {}, 0, 1'000);
    add(0, ActionKind::forward, 1, {}, 1'000, 4'000);
    add(1, ActionKind::forward, 0, {1'000, 0}, 1'000, 3'000);
    add(1, ActionKind::forward, 1, {4'000, 0}, 4'250, 5'000);
  }

  ReportData data() const {
    return {.result = result_,
            .pipeline = pipeline_,
            .passes = std::span(&kept_, 1),
            .layers = {{hostile, "conv2d", "6x28x28", 0, {-1}, {100, 200, 300}}, {"fc", "dense", "10", 1, {0}, {}}},
            .links = {{"input", -1, 0, 64}, {hostile, 0, 1, 128}},
            .peak_flops = {1e9, 0},
            .predicted = predicted_,
            .graph_file = hostile,
            .graph_text = hostile,
            .changes = {hostile},
            .machine = {{"CPU", hostile}}};
  }

  void lose(int device, Nanoseconds from, Nanoseconds until) {
    kept_.whole = false;
    kept_.losses.push_back({device, kept_.pass.begin + from, kept_.pass.begin + until});
  }

  std::optional<PredictedSchedule> predicted_;
  KeptPass kept_;
  TracedPipeline pipeline_;

 private:
  /// Times from the begin of the pass; `input`: when it came and from where.
  void add(int unit, ActionKind kind, std::int64_t micro_batch, Arrival input, Nanoseconds begin, Nanoseconds end) {
    const Nanoseconds zero = kept_.pass.begin;
    ActionRecord& action = kept_.actions.emplace_back();
    action.unit = unit;
    action.kind = kind;
    action.micro_batch = micro_batch;
    if (input.time > 0) action.arrivals.input = {zero + input.time, input.from};
    action.ready = action.begin = zero + begin;
    action.end = zero + end;
    steps_.push_back({std::make_unique<StepRecord>(StepRecord{0, action.end})});
    action.steps = std::span(steps_.back().get(), 1);
  }

  RunResult result_;
  std::vector<std::unique_ptr<StepRecord>> steps_;
};

Json::Value parsed(const std::string& text) {
  Json::Value json;
  std::istringstream stream(text);
  std::string errors;
  REQUIRE_MESSAGE(Json::parseFromStream(Json::CharReaderBuilder(), stream, &json, &errors), errors);
  return json;
}

/// What stands in the page's element of that id, as a browser cuts it: up to the first "</script".
Json::Value embedded(const std::string& page, const std::string& id) {
  const std::string open = "<script type=\"application/json\" id=\"" + id + "\">";
  const std::size_t begin = page.find(open);
  REQUIRE(begin != std::string::npos);
  CHECK(page.find(open, begin + 1) == std::string::npos);
  const std::size_t text = begin + open.size();
  return parsed(page.substr(text, page.find("</script", text) - text));
}

std::vector<double> numbers(const Json::Value& list) {
  std::vector<double> numbers;
  for (const Json::Value& value : list) numbers.push_back(value.asDouble());
  return numbers;
}

/// Names of the states of a unit's stretches.
std::vector<std::string> states(const Json::Value& report, const Json::Value& unit) {
  std::vector<std::string> names;
  for (const Json::Value& state : unit["state"]) names.push_back(report["states"][state.asInt()].asString());
  return names;
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("The page is whole and fetches nothing") {
  const std::string page = report_page(SmallRun().data());
  CHECK(page.starts_with("<!doctype html>"));
  CHECK(page.ends_with("</html>\n"));
  // No mark is left but the one in a name.
  CHECK(occurrences(page, "{{") == occurrences(page, "{{timeline}}"));
  // Addresses: the SVG namespace, which no browser fetches, and nothing else.
  std::string rest = std::regex_replace(page, std::regex("http://www\\.w3\\.org/2000/svg"), "");
  for (const char* fetch : {"http:", "https:", "//cdn", "src=", "@import", "url(http", "fetch(", "XMLHttpRequest"})
    CHECK_MESSAGE(rest.find(fetch) == std::string::npos, fetch);
  CHECK(page.find("default-src 'none'") != std::string::npos);
  // Three scripts: two of data, one that runs.
  CHECK(occurrences(page, "<script") == 3);
  CHECK(occurrences(page, "</script>") == 3);
  CHECK(occurrences(page, "</style>") == 1);
}

TEST_CASE("Hostile names come through as they are") {
  const std::string page = report_page(SmallRun().data());
  CHECK(page.find("alert(1)</script>") == std::string::npos);
  const Json::Value report = embedded(page, "report-data");
  CHECK(report["result"]["graph"] == hostile);
  CHECK(report["result"]["warnings"][0] == hostile);
  CHECK(report["layers"][0]["name"] == hostile);
  CHECK(report["links"][1]["name"] == hostile);
  CHECK(report["pipeline"]["stages"][0] == hostile_stage);
  CHECK(report["pipeline"]["units"][0]["steps"][0][0] == hostile);
  CHECK(report["graph_text"] == hostile);
  CHECK(report["graph_file"] == hostile);
  CHECK(report["changes"][0] == hostile);
  CHECK(report["machine"][0][1] == hostile);
}

TEST_CASE("The timeline has every action and every state") {
  const std::string page = report_page(SmallRun().data());
  const Json::Value report = embedded(page, "report-data");
  const Json::Value timeline = embedded(page, "timeline-data");
  REQUIRE(timeline["passes"].size() == 1);
  const Json::Value& pass = timeline["passes"][0];
  CHECK(pass["epoch"] == 3);
  CHECK(pass["actions"] == 4);
  CHECK(pass["whole"] == true);
  CHECK(pass["length"] == 10);
  REQUIRE(pass["units"].size() == 2);
  const Json::Value &first = pass["units"][0], &second = pass["units"][1];
  CHECK(numbers(first["begin"]) == std::vector<double>{0, 1});
  CHECK(numbers(first["end"]) == std::vector<double>{1, 4});
  CHECK(numbers(first["steps"]) == std::vector<double>{1, 3});
  CHECK(states(report, first) == std::vector<std::string>{"compute", "compute", "drain"});
  CHECK(numbers(first["until"]) == std::vector<double>{1, 4, 10});
  CHECK(numbers(first["action"]) == std::vector<double>{0, 1, -1});
  CHECK(states(report, second) == std::vector<std::string>{"fill", "compute", "starved", "sync", "compute", "drain"});
  CHECK(numbers(second["until"]) == std::vector<double>{1, 3, 4, 4.3, 5, 10});
  CHECK(numbers(second["input_from"]) == std::vector<double>{0, 0});
  // F of the second stage has two steps, of which one was recorded.
  CHECK(numbers(second["steps"]) == std::vector<double>{2, 0, 0.8, 0});
  CHECK(timeline["predicted"].isNull());
}

TEST_CASE("What was lost is unaccounted, and what was not kept is not drawn") {
  SmallRun run;
  run.lose(1, 3'000, 3'500);
  const std::string page = report_page(run.data());
  const Json::Value report = embedded(page, "report-data");
  const Json::Value timeline = embedded(page, "timeline-data");
  const Json::Value& pass = timeline["passes"][0];
  CHECK(pass["whole"] == false);
  CHECK(states(report, pass["units"][0]) == std::vector<std::string>{"compute", "compute"});
  CHECK(states(report, pass["units"][1]) ==
        std::vector<std::string>{"fill", "compute", "unaccounted", "starved", "sync", "compute"});
  CHECK(numbers(pass["units"][1]["until"]) == std::vector<double>{1, 3, 3.5, 4, 4.3, 5});
}

TEST_CASE("Steps have the operations of all their images") {
  const Json::Value report = parsed(report_json(SmallRun().data()));
  // B of the layer: gradients of inputs and parameters, for 8 images.
  CHECK(report["steps"][0]["unit"] == 0);
  CHECK(report["steps"][0]["flops"].asDouble() == 8 * (200 + 300));
  CHECK(report["steps"][1]["unit"] == 1);
  CHECK(report["steps"][1]["flops"].asDouble() == 0);
}

TEST_CASE("The predicted schedule takes the mean times of what ran") {
  SmallRun run;
  const ActionCosts costs = measured_costs(run.pipeline_, run.kept_);
  REQUIRE(costs.stages.size() == 2);
  CHECK(costs.stages[0].forward == doctest::Approx(2e-6));
  CHECK(costs.stages[1].forward == doctest::Approx(1.375e-6));
  CHECK(costs.stages[0].input_gradients == 0);
  CHECK(costs.transfers == std::vector<double>{0});
  PredictedSchedule& predicted = run.predicted_.emplace();
  predicted.micro_batches = 2;
  predicted.simulation.devices = {{{{0, ActionKind::forward, 1}, 0, 0, costs.stages[0].forward}}, {}};
  predicted.simulation.length = costs.stages[0].forward;
  const Json::Value timeline = parsed(report_timeline_json(run.data()));
  REQUIRE(timeline["predicted"]["devices"].size() == 2);
  CHECK(numbers(timeline["predicted"]["devices"][0]["end"]) == std::vector<double>{2});
  CHECK(numbers(timeline["predicted"]["devices"][0]["micro_batch"]) == std::vector<double>{1});
  CHECK(timeline["predicted"]["length"].asDouble() == 2);
}

TEST_CASE("Transfers are those of the link, both ways") {
  SmallRun run;
  for (ActionRecord& action : run.kept_.actions)
    if (action.unit == 1) action.arrivals.transfer = {action.arrivals.input.time + 500, 0};
  const std::vector<double> transfers = measured_costs(run.pipeline_, run.kept_).transfers;
  REQUIRE(transfers.size() == 1);
  CHECK(transfers[0] == doctest::Approx(5e-7));
}

TEST_CASE("A run of which nothing was kept has a page too") {
  SmallRun run;
  ReportData data = run.data();
  data.passes = {};
  const std::string page = report_page(data);
  CHECK(embedded(page, "timeline-data")["passes"].empty());
}
