#include "engine/trace/report/report.h"

#include <stdexcept>

#include "engine/trace/report/report_template.h"

namespace lenet_flow {
namespace {

/// Puts `text` in the place of the only `mark` of the page.
void fill_in(std::string& page, const std::string& mark, const std::string& text) {
  const std::size_t at = page.find(mark);
  if (at == std::string::npos) throw std::logic_error("the report's template has no " + mark);
  page.replace(at, mark.size(), text);
}

}  // namespace

std::string report_page(const ReportData& data) {
  std::string page = report_template();
  // From the end on: what is filled in may look like a mark.
  fill_in(page, "{{timeline}}", report_timeline_json(data));
  fill_in(page, "{{report}}", report_json(data));
  return page;
}

}  // namespace lenet_flow
