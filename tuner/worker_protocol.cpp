// JSON for jobs and events.
#include "tuner/worker_protocol.h"

#include <nlohmann/json.hpp>

namespace lathe::tuner {
namespace {

using Json = nlohmann::json;

template <typename Record, typename Read>
Result<Record> decode(std::string_view line, Read&& read) {
  try {
    return read(Json::parse(line));
  } catch (const Json::exception& error) {
    return fail(ErrorCode::parse_error, "worker protocol: found '{}': {}", line.substr(0, 80),
                error.what());
  }
}

Json encode(const Spent& spent) {
  return {{"compile", spent.compile},   {"interpret", spent.interpret}, {"check", spent.check},
          {"operands", spent.operands}, {"time", spent.time},           {"roofs", spent.roofs}};
}

Spent decode_spent(const Json& json) {
  Spent spent;
  json.at("compile").get_to(spent.compile);
  json.at("interpret").get_to(spent.interpret);
  json.at("check").get_to(spent.check);
  json.at("operands").get_to(spent.operands);
  json.at("time").get_to(spent.time);
  json.at("roofs").get_to(spent.roofs);
  return spent;
}

}  // namespace

Spent& Spent::operator+=(const Spent& other) {
  compile += other.compile;
  interpret += other.interpret;
  check += other.check;
  operands += other.operands;
  time += other.time;
  roofs += other.roofs;
  return *this;
}

std::string encode(const Job& job) {
  Json candidates = Json::array();
  for (const Candidate& candidate : job.candidates)
    candidates.push_back({{"problem", candidate.problem}, {"schedule", candidate.schedule}});
  return Json{{"at", job.at},
              {"cache", job.cache},
              {"target", job.target},
              {"threads", job.threads},
              {"candidates", std::move(candidates)},
              {"keep", job.keep},
              {"seconds", job.seconds},
              {"min_rounds", job.min_rounds},
              {"max_rounds", job.max_rounds},
              {"measure_roofs", job.measure_roofs}}
      .dump();
}

std::string encode(const Event& event) {
  return Json{{"kind", event.kind},          {"candidate", event.candidate},
              {"state", event.state},        {"check", event.check},
              {"detail", event.detail},      {"batches_ns", event.batches_ns},
              {"gflops", event.gflops},      {"gbytes_per_s", event.gbytes_per_s},
              {"spent", encode(event.spent)}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Job> decode_job(std::string_view line) {
  return decode<Job>(line, [](const Json& json) {
    Job job;
    json.at("at").get_to(job.at);
    json.at("cache").get_to(job.cache);
    json.at("target").get_to(job.target);
    json.at("threads").get_to(job.threads);
    for (const Json& candidate : json.at("candidates"))
      job.candidates.push_back({candidate.at("problem"), candidate.at("schedule")});
    json.at("keep").get_to(job.keep);
    json.at("seconds").get_to(job.seconds);
    json.at("min_rounds").get_to(job.min_rounds);
    json.at("max_rounds").get_to(job.max_rounds);
    json.at("measure_roofs").get_to(job.measure_roofs);
    return job;
  });
}

Result<Event> decode_event(std::string_view line) {
  return decode<Event>(line, [](const Json& json) {
    Event event;
    json.at("kind").get_to(event.kind);
    json.at("candidate").get_to(event.candidate);
    if (event.kind == "crash") return event;  // whoever dies says no more (crash_report.h)
    json.at("state").get_to(event.state);
    json.at("check").get_to(event.check);
    json.at("detail").get_to(event.detail);
    json.at("batches_ns").get_to(event.batches_ns);
    json.at("gflops").get_to(event.gflops);
    json.at("gbytes_per_s").get_to(event.gbytes_per_s);
    if (json.contains("spent")) event.spent = decode_spent(json.at("spent"));
    return event;
  });
}

}  // namespace lathe::tuner
