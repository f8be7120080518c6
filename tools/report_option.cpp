#include "tools/report_option.h"

#include "engine/training/run_report.h"

namespace lenet_flow {

void add_report_option(CLI::App& command, std::string& file) {
  command
      .add_option("--report", file,
                  "a self-contained HTML page: timeline, stalls, root causes, flow graph, layers, curves")
      ->option_text("FILE.html");
}

ReportOutput::ReportOutput(const std::string& file, RunOptions& options) {
  if (file.empty()) return;
  file_.emplace("--report", file);
  options.ended = [this](const Session& session, const Pipeline& pipeline, const RunResult& result) {
    if (!result.interrupted) page_ = run_report(session, pipeline, result);
  };
}

void ReportOutput::write() const {
  if (file_) file_->write(page_);
}

}  // namespace lenet_flow
