// Problem lines and schedules that reach all code of the kernel families.
#include <algorithm>

#include "compiler/limits.h"
#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

bool has_limit(const compiler::Family& family, ir::Type output) {
  return std::any_of(family.limits.begin(), family.limits.end(),
                     [&](const compiler::OutputLimit& entry) { return entry.type == output; });
}

}  // namespace

std::vector<std::string> problem_lines(const std::string& type, int64_t width) {
  const auto rounded_up = [&](int64_t multiple) {
    return (width + multiple - 1) / multiple * multiple;
  };
  const std::string row = fmt::format(" rows=8 width={} type={}", width, type);
  std::vector<std::string> lines;
  for (const compiler::Family* family : compiler::catalogue()) {
    const int64_t columns = has_limit(*family, ir::Type::f32) ? width : rounded_up(32);
    for (const std::string& variant : family->variants) {
      lines.push_back(
          fmt::format("{} {} rows=8 width={} type={}", family->name, variant, columns, type));
    }
  }
  for (const char* out : {"f32", "f16", "bf16"}) {
    if (out == type) continue;
    lines.push_back(fmt::format("elementwise expr=x out={}", out) + row);
    lines.push_back(fmt::format("rms_norm out={} weight_type={}", out, out) + row);
  }
  const auto in_blocks = [&](std::string_view text) {
    lines.push_back(fmt::format("{} rows=8 width={} type={} out=q8_0", text, rounded_up(32), type));
  };
  for (const compiler::Family* family : compiler::catalogue()) {
    if (family->form == compiler::CallForm::rows && has_limit(*family, ir::Type::q8_0))
      in_blocks(family->name);
  }
  in_blocks("rms_norm prologue=add(x,r) keep=true");
  in_blocks("layer_norm prologue=mul(x,r) epilogue=round_bf16(y)");
  // Products: as many columns of x as the width, but no more than make several blocks.
  const auto linear = [&](std::string_view parameters, int64_t n) {
    lines.push_back(fmt::format("linear rows=8 n={} k={} type={} {}", n,
                                std::min<int64_t>(width, 523), type, parameters));
  };
  linear("", std::min<int64_t>(width, 37));
  linear("panel=32 weight=bf16 out=f32 epilogue=add(y,vec(b))", std::min<int64_t>(width, 51));
  linear("weight=f16 epilogue=add(gelu_tanh(add(y,vec(b))),mul(r,col(s)))", 17);
  linear("pair=true epilogue=mul(silu(y),z)", std::min<int64_t>(width, 19));
  // Weights of codes have tests of their own; here one of blocks and one of channels stand for
  // them.
  if (type == "f32") {
    lines.push_back("linear rows=8 n=9 k=64 weight=q4_0 epilogue=add(y,vec(b))");
    lines.push_back("linear rows=8 n=9 k=64 type=q8_0 weight=q8_0 epilogue=add(y,r)");
    lines.push_back(
        "linear rows=8 n=64 k=64 weight=q4_0 out=q8_0 pair=true epilogue=mul(silu(y),z)");
    lines.push_back("linear rows=8 n=9 k=35 weight=i8 epilogue=add(y,vec(b))");
  }
  const auto matmul = [&](std::string_view parameters, int64_t n) {
    lines.push_back(fmt::format("batched_matmul batch=3 rows=8 n={} k={} type={} {}", n,
                                std::min<int64_t>(width, 75), type, parameters));
  };
  matmul("", std::min<int64_t>(width, 37));
  matmul("transpose_a=true b_type=bf16 out=f32 epilogue=mul(y,0.125)",
         std::min<int64_t>(width, 29));
  matmul("transpose_b=true group=2 b_type=f16 epilogue=add(mul(y,col(s)),add(r,vec(c)))", 17);
  const auto rope = [&](std::string_view parameters, int64_t heads, int64_t dim) {
    lines.push_back(
        fmt::format("rope rows=8 heads={} dim={} type={} {}", heads, dim, type, parameters));
  };
  const int64_t even = std::min<int64_t>(rounded_up(2), 256);
  const int64_t fourth = std::min<int64_t>(rounded_up(4), 256);
  rope("", 2, even);
  rope("tables=per_token", 1, even);
  rope("interleaved=true", 2, even);
  rope("norm=true", 2, even);
  rope("norm=true interleaved=true", 1, even);
  rope(fmt::format("rotary_dim={} norm=true", std::max<int64_t>(even / 2 / 2 * 2, 2)), 2, even);
  const int64_t pairs = even / 2;
  const int64_t side = pairs * 5 / 16;
  rope(fmt::format("kind=mrope section={}:{}:{}", pairs - 2 * side, side, side), 3, even);
  rope(fmt::format("kind=mrope section={}:{}:{} norm=true", pairs - 2 * side, side, side), 2, even);
  rope("kind=vision", 2, fourth);
  rope("kind=vision out=f32", 1, fourth);
  rope("norm=true slots=flat", 2, even);
  rope("slots=flat out=bf16", 1, even);
  rope("kind=vision slots=paged page=3 out=f16", 2, fourth);
  rope(fmt::format("kind=mrope section={}:{}:{} norm=true slots=batched slots_type=i64",
                   pairs - 2 * side, side, side),
       2, even);
  rope("tables=per_token interleaved=true slots=batched", 1, even);
  const int64_t blocks = std::min<int64_t>(rounded_up(32), 160);
  rope("norm=true out=q8_0", 2, blocks);
  rope("norm=true slots=paged page=4 out=q8_0", 2, blocks);
  const auto write = [&](std::string_view parameters, int64_t heads, int64_t dim) {
    lines.push_back(
        fmt::format("write_cache rows=8 heads={} dim={} type={} {}", heads, dim, type, parameters));
  };
  write("", 2, width);
  write("slots=paged page=1", 1, width);
  write("slots=paged page=3 out=f16", 2, width);
  write("slots=batched slots_type=i64 out=bf16", 3, width);
  write("out=q8_0", 2, blocks);
  if (type == "f32") {
    lines.emplace_back("write_cache rows=8 heads=2 dim=96 type=q8_0 out=q8_0");
    lines.emplace_back("write_cache rows=8 heads=1 dim=32 type=q4_0 out=q4_0 slots=batched");
    lines.emplace_back("write_cache rows=8 heads=2 dim=256 type=q4_K out=q4_K slots=paged page=2");
  }
  return lines;
}

std::vector<std::string> row_statistics_lines(const std::string& type, int64_t width) {
  std::vector<std::string> lines = problem_lines(type, width);
  std::erase_if(lines, [](const std::string& line) {
    return compiler::parse_problem(line)->family().form != compiler::CallForm::rows ||
           line.find("prologue=mul") != std::string::npos ||
           line.find("prologue=fma") != std::string::npos;
  });
  return lines;
}

std::vector<compiler::Schedule> every_knob_value(const compiler::SearchSpace& space) {
  const std::vector<compiler::Schedule> points = space.points();
  std::vector<compiler::Schedule> chosen = {points.front()};
  const auto differences = [&](const compiler::Schedule& point) {
    int count = 0;
    for (const auto& [name, value] : point.knobs()) count += value != points.front()[name] ? 1 : 0;
    return count;
  };
  for (const compiler::Knob& knob : space.knobs()) {
    for (const int64_t value : knob.values) {
      if (std::any_of(chosen.begin(), chosen.end(),
                      [&](const auto& point) { return point[knob.name] == value; }))
        continue;
      // The point with that value that is nearest the default.
      const compiler::Schedule* nearest = nullptr;
      for (const compiler::Schedule& point : points) {
        if (point[knob.name] != value) continue;
        if (nearest == nullptr || differences(point) < differences(*nearest)) nearest = &point;
      }
      if (nearest != nullptr) chosen.push_back(*nearest);
    }
  }
  return chosen;
}

}  // namespace lathe::tests
