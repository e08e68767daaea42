// What the plans over packed keys and values have in common: attention_prefill's, and
// attention_block_sparse's. They differ in which blocks of keys a block of tokens goes over.
#pragma once

#include <string>
#include <vector>

#include "compiler/kernels/attention/plan_writer.h"

namespace lathe::compiler::kernels::attention {

inline Expr clamp(const Expr& value, const Expr& low, const Expr& high) {
  return min(max(value, low), high);
}
inline Expr floor_div(const Expr& a, int64_t b) { return ceil_div(a - Expr(b - 1), Expr(b)); }

/// All keys and values are packed, then the threads share sequences, heads of k and blocks of
/// tokens. Where memory is limited, a thread packs each block itself when it comes to it.
///
/// Whole blocks of keys, which every row of the block of tokens sees, are multiplied by all rows at
/// once. At the edges, where rows see different keys, a few rows at a time multiply the panels that
/// the last of them reaches.
class PrefillWriter : protected PlanWriter {
 public:
  virtual ~PrefillWriter() = default;
  ir::plan::Plan write();

 protected:
  PrefillWriter(std::string name, const Attention& attention, const Blocking& blocking,
                const ir::Target& target)
      : PlanWriter(std::move(name), attention, target), s_(blocking) {}

  /// Whether keys and values are packed once for all threads.
  bool packs_all() const { return attention_.memory == 0; }
  /// Whether all sequences have the same keys, all of an item of the batch.
  bool has_all_keys() const { return !attention_.packs_keys() && !attention_.lengths; }

  /// Appends the steps of a block of tokens over its blocks of keys.
  virtual void over_keys(Body& body) = 0;
  virtual void add_programs();

  /// A block of keys that all rows see whole, for each member.
  void whole_block(Body& body, const std::string& name, const Expr& block_index);
  /// The same where rows see different keys, or none of them: the first `rows_end` rows at most.
  void edge_block(Body& body, const std::string& name, const Expr& block_index,
                  const Expr& rows_end);

  /// What all programs know of rows `row` … of a member.
  Bindings rows_of(const Expr& member, const Expr& row, const Expr& rows) const;

  // The three steps of rows by a block of keys, which is `here` of the packed ones; its scores
  // begin `at` bytes into their rows.
  void multiply_keys(Body& body, Bindings rows, const Expr& member, const Expr& row,
                     const Expr& here, const Expr& panels, const Expr& at);
  void weigh(Body& body, Bindings rows, const Expr& member, const Expr& row,
             const Expr& block_index, int softmax);
  void multiply_values(Body& body, Bindings rows, const Expr& member, const Expr& row,
                       const Expr& here, const Expr& columns, const Expr& at);

  const Blocking& s_;
  Expr blocks_;                        ///< of a head's keys, if all are packed
  Sequence of_;                        ///< the block of tokens is its
  Expr head_, first_;                  ///< its head of k; its first token, of the sequence's
  Expr rows_, position_, head_block_;  ///< its tokens; the key at which the first stands; the first
                                       ///< packed block of its head
  int softmax_ = -1, softmax_edge_ = -1;

 private:
  // What multiplies by the panels first … first + count - 1 of values, of so many columns each.
  struct ValuePanels {
    int program;
    int64_t first, count;
  };

  void add_scratch();
  ValuePanels add_values_program(int64_t first, int64_t count, int64_t columns);
  Expr blocks_of_a_head() const;
  void pack(Body& body);
  // A block of a sequence's keys and values to that place among the packed ones.
  void pack_block(Body& body, const Sequence& of, const Expr& head, const Expr& block,
                  const Expr& place);
  void pack_if_limited(Body& body, const Expr& block_index);
  void attend(Body& body);
  void start(Body& body, const Expr& member);
  Expr first_block(const Expr& number, const Sequence& sequence, const Expr& head) const;
  Place queries_at(const Expr& member, const Expr& row) const;
  void block(Body& body, const std::string& name, const Expr& block_index, const Expr& member,
             const Expr& row, const Expr& rows, const Expr& panels, const Expr& columns,
             int softmax, const Bindings& bounds);

  Place packed_keys_, packed_values_, packed_queries_, scores_, maximum_, sum_, sums_;
  int pack_keys_ = -1, pack_values_ = -1, pack_queries_ = -1, start_ = -1, multiply_keys_ = -1;
  int finish_ = -1;
  std::vector<ValuePanels> multiply_values_;
};

}  // namespace lathe::compiler::kernels::attention
