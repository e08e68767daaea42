"""qwen3vl-tune: the fields of its JSON, exit statuses, interrupts, kills, shared and damaged stores."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

from tests.tools.programs import CONFIG, PATIENCE_S, ProgramTest

HOST_FIELDS = ("host", "model", "elapsed_s", "kernels")
KERNEL_FIELDS = (
    "problem", "family", "dims", "types", "epilogue", "at", "target", "schedule", "default_ns", "tuned_ns",
    "speedup", "gflops", "gbytes_per_s", "roofline_fraction", "bound", "cache", "trials", "verified", "match",
    "confidence")


class Tune(ProgramTest):
    PROGRAM = "QWEN3VL_TUNE"

    def arguments(self, budget=None, db=None):
        """Without a budget the session takes as long as it takes on this machine."""
        return ("--model", self.path("model"), "--tokens", "1", "--context", "16,64", "--image", "32x32", "--threads", "1",
                *(("--budget", budget) if budget else ()), "--db", db or self.db)

    def endless(self, db=None):
        """Many more candidates than any test waits for."""
        return (*self.arguments(db=db), "--effort", "full")

    def winners(self, db=None):
        status = self.run_json("status", "--db", db or self.db)
        return sum(family["winners"] for host in status["hosts"] for family in host["families"])

    def test_a_forced_knob_is_tuned_within_in_a_store_of_its_own(self):
        line = "softmax rows=1 width=64"
        document = self.run_json("--problem", line, "--effort", "full", "--threads", "1", "--db", self.db,
                                 LATHE_FORCE="softmax.unroll=4")
        self.assertIn("unroll=4", document["kernels"][0]["schedule"])
        self.assertNotIn("unroll=1", str(self.run_json("export", "--db", self.db)["trials"]))
        document = self.run_json("--problem", line, LATHE_FORCE="softmax.unroll=4", status=2)
        self.assertIn("--db", document["error"]["message"])

    def test_every_kernel_has_every_field(self):
        document = self.run_json(*self.arguments(), "--effort", "quick", LATHE_TARGET="sse")
        for field in HOST_FIELDS:
            self.assertIn(field, document)
        self.assertGreater(len(document["kernels"]), 5)
        for kernel in document["kernels"]:
            for field in KERNEL_FIELDS:
                self.assertIn(field, kernel, kernel)
            self.assertTrue(kernel["target"].startswith("sse"), kernel["target"])  # forced, so obeyed
            self.assertGreater(kernel["tuned_ns"], 0)
            self.assertGreaterEqual(kernel["speedup"], 1)
            self.assertIn(kernel["bound"], ("compute", "memory"))
            self.assertIn("oracle", kernel["verified"])
        self.assert_passes(document)
        self.assertGreater(document["baselines_s"], 0)
        self.assertEqual(set(document["spent_s"]),
                         {"list", "compile", "interpret", "check", "operands", "time", "roofs"})
        out, _ = self.start(*self.arguments("1s"), LATHE_TARGET="sse").communicate(timeout=PATIENCE_S)
        self.assertIn("tokens/s", out)
        self.assertIn("attention over the longest context", out)
        explained = self.run_json("explain", document["kernels"][0]["problem"], "--db", self.db,
                                  "--target", "sse")
        self.assertEqual(explained["kernels"][0]["match"], "exact")
        self.assert_recorded(document["kernels"])

    def assert_passes(self, document):
        passes = {one["pass"]: one for one in document["passes"]}
        # Attention over a context that is not the longest is a part of a pass by itself.
        self.assertEqual({name for name in passes if not name.startswith("attention of")}, {"1 token", "image"})
        for one in passes.values():
            self.assertGreater(one["tuned_ns"], 0)
            self.assertAlmostEqual(sum(one["shares"].values()), 1, places=6)
            self.assertEqual(one["missing"], 0)

    def assert_recorded(self, kernels, db=None):
        """The store has a winner for each; it has others for layouts that were not chosen."""
        document = self.run_json("export", "--db", db or self.db)
        self.assertLessEqual({kernel["problem"] for kernel in kernels},
                             {winner["key"]["problem"] for winner in document["winners"]})

    def test_weights_have_the_models_type_unless_another_is_given(self):
        self.write("single/config.json", json.dumps({**CONFIG, "dtype": "float32"}))
        for model, more, weights in (("model", (), "bf16"), ("single", (), "f32"), ("single", ("--weights", "f16"), "f16")):
            document = self.run_json("--model", self.path(model), "--tokens", "1", "--image", "32x32", "--threads", "1",
                                     "--family", "embedding", "--effort", "quick", "--db", self.db, *more)
            self.assertEqual([kernel["types"]["table"] for kernel in document["kernels"]], [weights])

    def test_every_weight_gets_one_layout(self):
        document = self.run_json(*self.arguments(), "--effort", "quick", LATHE_TARGET="sse")
        weights = {weight["weight"]: weight for weight in document["weights"]}
        for weight in weights.values():
            self.assertTrue(weight["decided"], weight)
            self.assertIn(weight["panel"], [candidate["panel"] for candidate in weight["candidates"]])
            self.assertIn("rows=", weight["why"])
        products = [kernel for kernel in document["kernels"] if kernel["family"] == "linear"]
        self.assertGreater(len(products), 5)
        for kernel in products:
            dims = kernel["dims"]
            pair = " pair=true" if "pair=true" in kernel["problem"] else ""
            weight = weights[f"n={dims['n']} k={dims['k']} weight=bf16{pair}"]
            self.assertEqual(dims["panel"], weight["panel"])
        self.assert_recorded(document["kernels"])

        kept = self.run_json("status", "--db", self.db)["weights"]
        self.assertEqual({weight["weight"]: weight["panel"] for weight in kept},
                         {name: weight["panel"] for name, weight in weights.items()})
        explained = self.run_json("explain", products[0]["problem"], "--db", self.db, "--target", "sse",
                                  "--threads", "1")["weights"][0]
        for field in ("panel", "why"):
            self.assertEqual(explained[field], weights[explained["weight"]][field])
        again = self.run_json(*self.arguments(), "--effort", "quick", LATHE_TARGET="sse")
        self.assertEqual({weight["weight"]: weight["why"] for weight in again["weights"]},
                         {name: weight["why"] for name, weight in weights.items()})

    def test_the_cache_gets_one_layout(self):
        arguments = ("--model", self.path("model"), "--tokens", "1,40", "--context", "64,600", "--image", "32x32",
                     "--threads", "1", "--db", self.db, "--family", "attention_decode", "--family", "attention_prefill")
        document = self.run_json(*arguments, "--effort", "quick", LATHE_TARGET="sse")
        cache = document["caches"][0]
        self.assertEqual((len(document["caches"]), document["weights"]), (1, []))
        self.assertTrue(cache["decided"], cache)
        self.assertEqual([candidate["kv_layout"] for candidate in cache["candidates"]], ["nhd", "hnd"])
        self.assertIn(cache["kv_layout"], ("nhd", "hnd"))
        self.assertIn("tokens=1,40 context=40,64,600", cache["why"])
        readers = [kernel for kernel in document["kernels"] if "causal=end" in kernel["problem"]]
        self.assertEqual({kernel["family"] for kernel in readers}, {"attention_decode", "attention_prefill"})
        for kernel in readers:
            self.assertEqual("kv_layout=hnd" in kernel["problem"], cache["kv_layout"] == "hnd")
        self.assert_recorded(document["kernels"])
        for kept in (self.run_json("status", "--db", self.db)["caches"],
                     self.run_json("explain", readers[0]["problem"], "--db", self.db, "--target", "sse",
                                   "--threads", "1")["caches"]):
            self.assertEqual([(one["cache"], one["kv_layout"]) for one in kept], [(cache["cache"], cache["kv_layout"])])
        document = self.run_json(*self.arguments(db=self.path("kept.db")), "--family", "attention_decode", "--effort",
                                 "quick", "--layouts", "default", LATHE_TARGET="sse")
        self.assertEqual(document["caches"], [])
        for kernel in document["kernels"]:
            self.assertNotIn("kv_layout", kernel["problem"])

    def test_single_problems_need_no_model(self):
        problems = ("softmax rows=4 width=72", "linear rows=2 n=48 k=64 weight=bf16 panel=16")
        document = self.run_json("--problem", problems[0], "--problem", problems[1], "--at", "rows=5", "--cache", "warm",
                                 "--effort", "quick", "--threads", "1", "--db", self.db)
        self.assertEqual([kernel["family"] for kernel in document["kernels"]], ["softmax", "linear"])
        for kernel in document["kernels"]:
            self.assertEqual((kernel["at"], kernel["cache"]), ("rows=5", "warm"))
            self.assertGreater(kernel["tuned_ns"], 0)
        self.assertEqual(document["kernels"][1]["problem"].count("panel"), 0)  # 16 is the default's
        self.assertEqual((document["weights"], document["passes"]), ([], []))
        self.assert_recorded(document["kernels"])

    def test_families_are_a_models_or_an_example(self):
        document = self.run_json(*self.arguments(), "--effort", "quick", "--family", "rms_norm")
        self.assertEqual({kernel["family"] for kernel in document["kernels"]}, {"rms_norm"})
        document = self.run_json("--family", "relu", "--effort", "quick", "--threads", "1", "--db", self.db)
        self.assertEqual([kernel["family"] for kernel in document["kernels"]], ["relu"])

    def test_both_streams_in_one_file_keep_their_lines(self):
        path = self.path("both")
        with open(path, "wb") as file:
            process = subprocess.Popen([self.program, *self.arguments(), "--effort", "quick", "--family", "relu",
                                        "--family", "gelu"], stdout=file, stderr=file)
            self.assertEqual(process.wait(timeout=PATIENCE_S), 0)
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertTrue(any(line.startswith("done in ") for line in lines), lines[-3:])
        for line in lines:
            self.assertLessEqual(line.count("done in "), 1)
            self.assertTrue(line.startswith("done in ") or "done in " not in line, line)

    def test_closed_standard_descriptors_change_nothing(self):
        for closed in ((0,), (2,), (0, 2)):
            before = lambda: [os.close(descriptor) for descriptor in closed]
            document = self.run_json("--problem", "relu rows=8 width=64", "--effort", "quick", "--db",
                                     self.path(f"closed{len(closed)}{closed[0]}.db"), before=before)
            self.assertGreater(document["kernels"][0]["tuned_ns"], 0, closed)

    def test_output_that_does_not_get_through_is_an_error(self):
        for arguments in (("--help",), ("doctor",), ("--problem", "relu rows=8 width=64", "--effort", "quick", "--db", self.db)):
            self.assert_lost_output_is_an_error(*arguments)

    def test_bad_input_is_an_error_that_says_so(self):
        model = self.arguments()
        self.write("llama/config.json", json.dumps({**CONFIG, "model_type": "llama"}))
        self.write("broken/config.json", "{")
        file = self.write("file", "")
        for arguments, says in (
                ((*model[2:], "--model", self.path("llama")), ("llama", "qwen3_vl")),
                ((*model[2:], "--model", self.path("broken")), ("JSON",)),
                ((*model[2:], "--model", "qwen3-vl-3b"), ("qwen3-vl-3b", "qwen3-vl-2b")),
                (self.arguments(db=os.path.join(file, "x.db")), (file,)),
                ((*model[:2], "--tokens", "1,x"), ("--tokens", "x")),
                ((*model[:2], "--tokens", "0"), ("--tokens",)),
                ((*model[:2], "--image", "32"), ("--image",)),
                ((*model[:2], "--budget", "soon"), ("soon",)),
                ((*model[:2], "--effort", "much"), ("much", "quick")),
                ((*model[:2], "--layouts", "wide"), ("wide", "choose")),
                ((*model[:2], "--objective", "energy"), ("energy", "--objective time")),
                ((*model[:2], "--objective", "beauty"), ("beauty", "time")),
                ((*model[:2], "--device", "tpu"), ("tpu", "cpu")),
                ((*model[:2], "--target", "mmx"), ("mmx",)),
                ((*model[:2], "--threads", "-4"), ("--threads",)),
                ((*model[:2], "--no-such-flag"), ("--no-such-flag",)),
                ((), ("--model",)),
                (("--problem", "relu rows=4 width=8", *model), ("--problem", "--model")),
                ((*model[:2], "--cache", "warm"), ("--cache", "--model")),
                ((*model[:2], "--at", "rows=4"), ("--at", "--model")),
                (("--problem", "relu rows=4 width=8", "--tokens", "1"), ("--tokens", "--problem")),
                (("--problem", "relu rows=4 colour=8"), ("colour",)),
                (("--problem", "relu rows=4 width=8", "--at", "rows=x"), ("rows",)),
                (("--problem", "relu rows=4 width=8", "--cache", "tepid"), ("tepid", "cold")),
                (("--family", "no_such_family"), ("no_such_family",)),
                ((*model, "--family", "no_such_family"), ("no_such_family",)),
                ((*model, "--family", "batched_matmul"), ("--family", "no kernel")),
                (("status", "--db", self.path("none.db")), ("none.db",)),
                (("explain", "rms_norm rows=4 width=8 colour=red"), ("colour",)),
                (("explain", "no_such_family rows=4"), ("no_such_family",))):
            with self.subTest(arguments=arguments):
                self.assert_error(*arguments, says=says)

    def test_an_unwritable_cache_folder_is_named(self):
        file = self.write("file", "")
        document = self.run_json(*self.arguments()[:-2], status=2, XDG_CACHE_HOME=file)
        self.assertIn(file, document["error"]["message"])
        self.assertIn("XDG_CACHE_HOME", document["error"]["message"])

    def test_a_kernel_too_large_for_this_machine_is_told_and_the_others_are_tuned(self):
        model = self.endless()
        process = self.start("--json", *model[:2], "--tokens", "1,100000000000", *model[4:])
        self.wait_for_winners([process], 0)
        document, _ = self.interrupt(process)
        errors = [kernel["error"] for kernel in document["kernels"] if "error" in kernel]
        self.assertTrue(any("free memory" in error for error in errors), errors)
        self.assertTrue(any("tuned_ns" in kernel for kernel in document["kernels"]))

    def test_a_kernel_that_the_budget_does_not_reach_says_so(self):
        document = self.run_json(*self.arguments("0.001s"), status=1)
        errors = [kernel["error"] for kernel in document["kernels"] if "error" in kernel]
        self.assertTrue(errors)
        for error in errors:
            self.assertIn("budget", error)

    def wait_for_winners(self, processes, more_than, db=None):
        """How many kernels the store holds, once they are more than that and `processes` still run."""
        db = db or self.db
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if os.path.exists(db) and (winners := self.winners(db)) > more_than:
                return winners
            time.sleep(0.1)
        for process in processes:
            process.kill()
        return self.fail(f"no more than {more_than} kernels were recorded in time")

    def wait_for_more_trials(self, than):
        """The store's records once there are trials beyond these."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if os.path.exists(self.db) and (seen := self.records())["trials"] - than:
                return seen
            time.sleep(0.05)
        return self.fail("no more trials were recorded in time")

    def interrupt(self, process):
        """The document that the session leaves, and what it said besides."""
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 130, err)
        return json.loads(out), err

    def test_ctrl_c_leaves_the_best_so_far(self):
        process = self.start("--json", *self.endless())
        winners = self.wait_for_winners([process], 0)
        document, _ = self.interrupt(process)
        self.assertTrue(document["interrupted"])
        timed = [kernel for kernel in document["kernels"] if "tuned_ns" in kernel]
        self.assertGreaterEqual(self.winners(), winners)
        self.assert_recorded(timed)

    def records(self):
        """What the store holds: trials and winners, each under its key."""
        document = self.run_json("export", "--db", self.db)
        return {kind: {json.dumps(record, sort_keys=True) for record in document[kind]}
                for kind in ("trials", "winners")}

    def test_a_kill_loses_no_record(self):
        """Two processes tune into one store and die twenty times, each in the middle of anything."""
        choice = random.Random(7)
        processes = [self.start("--json", *self.endless()) for _ in range(2)]
        self.addCleanup(lambda: [process.kill() for process in processes])
        trials = set()
        for _ in range(20):
            self.wait_for_more_trials(trials)
            time.sleep(choice.uniform(0, 0.2))
            seen = self.records()
            victim = choice.randrange(2)
            processes[victim].kill()
            processes[victim].communicate(timeout=PATIENCE_S)
            self.assertEqual(processes[victim].returncode, -signal.SIGKILL)
            after = self.records()
            self.assertLessEqual(trials | seen["trials"], after["trials"])
            self.assertGreaterEqual(len(after["winners"]), len(seen["winners"]))
            trials = after["trials"]
            processes[victim] = self.start("--json", *self.endless())
        self.assertGreaterEqual(len(trials), 20)
        for process in processes:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
        checks = {check["check"]: check for check in self.run_json("doctor", "--db", self.db)["checks"]}
        self.assertTrue(checks["store"]["good"], checks["store"])

    def test_two_processes_share_a_store(self):
        kernels = len(self.run_json(*self.arguments("0.001s", self.path("none.db")), status=1)["kernels"])
        processes = [self.start("--json", *self.endless()) for _ in range(2)]
        self.wait_for_winners(processes, kernels - 1)
        for process in processes:
            document, _ = self.interrupt(process)
            self.assertEqual(len(document["kernels"]), kernels)
            self.assert_recorded(document["kernels"])

    def in_cache(self):
        """As arguments(), without a named store."""
        return ("--model", self.path("model"), "--tokens", "1", "--image", "32x32", "--threads", "1")

    def test_a_damaged_store_in_the_cache_folder_is_set_aside(self):
        process = self.start("--json", *self.endless())
        self.wait_for_winners([process], 0)
        self.interrupt(process)
        size = os.path.getsize(self.db)
        noise = random.Random(3).randbytes(size)
        for name, damage in (("cut", lambda data: data[:size // 2 - 77]), ("noise", lambda _: noise)):
            with self.subTest(name):
                home = self.path(name)
                os.makedirs(os.path.join(home, "lathe"), mode=0o700)
                db = os.path.join(home, "lathe", "lathe.db")
                with open(self.db, "rb") as whole, open(db, "wb") as damaged:
                    damaged.write(damage(whole.read()))
                before = self.look(home)
                for command in ("status", "export"):
                    document = self.run_json(command, status=2, XDG_CACHE_HOME=home)
                    self.assertEqual(document["error"]["code"], "corrupt")
                self.assertEqual(self.look(home), before)
                process = self.start("--json", *self.in_cache(), "--effort", "full", XDG_CACHE_HOME=home)
                self.wait_for_set_aside(process, os.path.dirname(db))
                self.wait_for_winners([process], 0, db)
                document, err = self.interrupt(process)
                self.assertEqual(err.count("set aside"), 1, err)
                timed = [kernel for kernel in document["kernels"] if "tuned_ns" in kernel]
                self.assert_recorded(timed, db)

    def test_a_named_file_that_is_no_store_stays_as_it_is(self):
        problem = "softmax rows=4 width=72"
        self.write("config.json", json.dumps(CONFIG))
        store = self.path("sound.db")
        tune = ("--problem", problem, "--threads", "1", "--effort", "quick")
        self.run_json(*tune, "--db", store)
        with open(store, "rb") as whole, open(self.path("cut.db"), "wb") as cut:
            cut.write(whole.read()[:-1000])
        for name, says in (("config.json", "is no store"), ("cut.db", "damaged")):
            db = self.path(name)
            before = self.look()
            for command in (("status",), ("explain", problem), ("export",), ("merge", store), tune):
                with self.subTest(name=name, command=command):
                    self.assert_error(*command, "--db", db, says=(db, says, "left alone", "--db"))
                    self.assertEqual(self.look(), before)
            checks = {check["check"]: check for check in self.run_json("doctor", "--db", db, status=1)["checks"]}
            self.assertIn(says, checks["store"]["detail"])
            self.assertEqual(self.look(), before)

    def test_commands_that_read_leave_no_trace(self):
        problem = "softmax rows=4 width=72"
        self.run_json("--problem", problem, "--threads", "1", "--effort", "quick", "--db", self.db)
        before = self.look()
        self.assertEqual(self.run_json("status", "--db", self.db)["journal_mode"], "wal")
        self.run_json("export", "--db", self.db)
        self.assertEqual(self.run_json("explain", problem, "--threads", "1", "--db", self.db)["kernels"][0]["match"],
                         "exact")
        self.run_json("doctor", "--db", self.db)
        self.run_json("doctor", "--db", self.path("none.db"))
        self.run_json("doctor")
        self.assertEqual(self.look(), before)

    def test_stores_made_to_do_harm_are_refused(self):
        """A generated column would fill memory while it is read."""
        self.run_json("--problem", "softmax rows=4 width=72", "--threads", "1", "--effort", "quick", "--db", self.db)
        harmful = self.path("harmful.db")
        for statement, says in (
                ("ALTER TABLE hosts ADD COLUMN big AS (printf('%*c', 999999999, 'x'))", "table 'hosts'"),
                ("CREATE VIEW songs AS SELECT hex(zeroblob(400000000))", "view 'songs'"),
                ("CREATE TRIGGER grow AFTER INSERT ON keys BEGIN DELETE FROM winners; END", "trigger 'grow'")):
            with self.subTest(statement):
                shutil.copy(self.db, harmful)
                with contextlib.closing(sqlite3.connect(harmful)) as database:
                    database.execute(statement)
                    database.commit()
                before = self.look()
                self.assert_error("merge", harmful, "--db", self.path("mine.db"), says=(says,))
                self.assert_error("export", "--db", harmful, says=(says,))
                self.assertEqual({path: look for path, look in self.look().items() if "mine.db" not in path}, {
                    path: look for path, look in before.items() if "mine.db" not in path})

    def wait_for_set_aside(self, process, folder):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if any(".damaged-" in file for file in os.listdir(folder)):
                return
            time.sleep(0.05)
        process.kill()
        self.fail("the damaged store was not set aside in time")


if __name__ == "__main__":
    unittest.main()
