// Which rows of the pools are keys, from lengths and block table.
#include "tests/support/paged_cache.h"

#include <algorithm>
#include <cstring>

namespace lathe::tests {
namespace {

// -1: there is none.
int input_named(const ir::graph::Graph& reference, std::string_view name) {
  for (size_t i = 0; i < reference.inputs.size(); ++i)
    if (reference.value(reference.inputs[i]).name == name) return static_cast<int>(i);
  return -1;
}

}  // namespace

void describe_pages(const ir::graph::Graph& reference, const KernelCase& kernel_case,
                    compiler::ElementRange& entries) {
  const int64_t page = kernel_case.problem.integer("page");
  const auto place = static_cast<size_t>(input_named(reference, "lengths"));
  const ir::Tensor& lengths = kernel_case.inputs[place];
  entries.distinct = true;
  for (int64_t i = 0; i < lengths.elements(); ++i)
    entries.row_counts.push_back((static_cast<int64_t>(lengths.at(i)) + page - 1) / page);
}

void spoil_unused_pages(const ir::graph::Graph& reference, KernelCase& kernel_case) {
  const int table_at = input_named(reference, "block_table");
  if (table_at < 0) return;
  const ir::Tensor& table = kernel_case.inputs[static_cast<size_t>(table_at)];
  const ir::Tensor& lengths =
      kernel_case.inputs[static_cast<size_t>(input_named(reference, "lengths"))];
  const int64_t page = kernel_case.problem.integer("page");
  const int64_t most = table.shape()[1];
  for (const char* name : {"k", "v"}) {
    ir::Tensor& pool = kernel_case.inputs[static_cast<size_t>(input_named(reference, name))];
    std::vector<bool> is_key(static_cast<size_t>(pool.shape()[0] * page));
    for (int64_t sequence = 0; sequence < lengths.elements(); ++sequence) {
      for (int64_t key = 0; key < static_cast<int64_t>(lengths.at(sequence)); ++key) {
        const auto entry = static_cast<int64_t>(table.at(sequence * most + key / page));
        is_key[static_cast<size_t>(entry * page + key % page)] = true;
      }
    }
    const int64_t bytes = pool.bytes() / std::max<int64_t>(static_cast<int64_t>(is_key.size()), 1);
    for (size_t row = 0; row < is_key.size(); ++row)  // all bits set are a NaN of every type
      if (!is_key[row])
        std::memset(pool.data() + static_cast<int64_t>(row) * bytes, 0xff,
                    static_cast<size_t>(bytes));
  }
}

}  // namespace lathe::tests
