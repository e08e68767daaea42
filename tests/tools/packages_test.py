"""Packages as their users make, send, check and install them, and as others forge them."""

import json
import os
import random
import resource
import shutil
import signal
import stat
import tempfile
import time
import unittest
import zipfile

from tests.tools import package_files
from tests.tools.programs import PATIENCE_S, ProgramTest

PROBLEM = "softmax rows=4 width=72"
TUNE = ("--problem", PROBLEM, "--problem", "relu rows=4 width=72", "--threads", "1", "--effort", "quick")


class Packages(ProgramTest):
    PROGRAM = "QWEN3VL_TUNE"
    tuned = None  # the bytes of a store with two records of this machine

    def setUp(self):
        super().setUp()
        if Packages.tuned is None:
            self.run_json(*TUNE, "--db", self.db)
            with open(self.db, "rb") as file:
                Packages.tuned = file.read()
        else:
            with open(self.db, "wb") as file:
                file.write(Packages.tuned)
        self.other = self.path("other.db")
        self.package = self.path("p.lathe")
        os.mkdir(self.path("trust"), 0o755)

    def start(self, *arguments, **more):
        return super().start(*arguments, **{"XDG_CONFIG_HOME": self.path("config"), **more})

    def pack(self, *arguments, **more):
        return self.run_json("pack", "-o", self.package, "--db", self.db, *arguments, **more)

    def make_signed(self):
        fingerprint = self.run_json("keygen", "-o", self.path("alice"))["fingerprint"]
        document = self.pack("--sign", self.path("alice.key"))
        self.assertEqual(document["signer"], fingerprint)
        return fingerprint

    def trust_alice(self):
        shutil.copy(self.path("alice.pub"), self.path("trust"))
        return ("--trust", self.path("trust"))

    def read(self, name=None):
        with open(name or self.package, "rb") as file:
            return file.read()

    def forge(self, data):
        with open(self.package, "wb") as file:
            file.write(data)
        os.chmod(self.package, 0o644)

    def records(self, db=None):
        document = self.run_json("export", "--db", db or self.db)
        return document["hosts"], document["winners"]

    def assert_not_installed(self, *arguments, status, says=(), **more):
        """Neither install nor merge takes the package, and neither leaves anything."""
        for command in ("install", "merge"):
            document = self.run_json(command, self.package, "--db", self.other, *arguments, status=status, **more)
            for part in says:
                self.assertIn(part, document["error"]["message"])
            self.assertFalse(os.path.exists(self.other), "not even an empty store is left")

    def test_from_one_machine_to_another(self):
        fingerprint = self.make_signed()
        trusted = self.trust_alice()
        document = self.run_json("verify", self.package, *trusted)
        self.assertEqual(document["signer"], {"fingerprint": fingerprint, "known_as": "alice.pub"})
        self.assertEqual((document["good"], document["kernels"], document["members"]), (True, 2, 1))
        document = self.run_json("install", self.package, "--db", self.other, *trusted)
        self.assertEqual([document[field] for field in ("winners_added", "winners_replaced", "winners_kept", "exact",
                                                        "other_host", "unused")], [2, 0, 0, 2, 0, 0])
        self.assertEqual({record["match"] for record in document["records"]}, {"exact"})
        self.assertEqual(self.records(self.other), self.records())
        explained = self.run_json("explain", PROBLEM, "--threads", "1", "--db", self.other)["kernels"][0]
        self.assertEqual(explained["match"], "exact")
        document = self.run_json("install", self.package, "--db", self.other, *trusted)
        self.assertEqual((document["winners_added"], document["winners_kept"]), (0, 2))

    def test_the_users_own_trust_folder(self):
        self.make_signed()
        folder = self.path("config/lathe/trust")
        self.assert_not_installed(status=1, says=("is signed by", folder, "--accept-signer"))
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        shutil.copy(self.path("alice.pub"), folder)
        self.run_json("install", self.package, "--db", self.other)
        os.chmod(folder, 0o777)
        document = self.run_json("verify", self.package, status=2)
        self.assertIn("XDG_CONFIG_HOME", document["error"]["message"])

    def test_the_same_store_gives_the_same_bytes(self):
        self.make_signed()
        first = self.read()
        time.sleep(2.1)  # zip's times have two seconds
        self.pack("--sign", self.path("alice.key"))
        self.assertEqual(self.read(), first)
        trusted = self.trust_alice()
        self.run_json("install", self.package, "--db", self.other, *trusted)
        self.run_json("pack", "-o", self.path("q.lathe"), "--db", self.other, "--sign", self.path("alice.key"))
        self.assertEqual(self.read(self.path("q.lathe")), first, "installed and packed again")

    def test_others_cannot_write_to_what_is_made(self):
        def nobody_is_kept_out():
            os.umask(0)
        self.run_json("keygen", "-o", self.path("k"), before=nobody_is_kept_out)
        self.pack(before=nobody_is_kept_out)
        for name, mode in (("p.lathe", 0o644), ("k.pub", 0o644), ("k.key", 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(self.path(name)).st_mode), mode, name)

    def test_unsigned_packages_are_asked_for_by_name(self):
        self.assertIsNone(self.pack()["signer"])
        self.assert_not_installed(status=1, says=("no signature", "--allow-unsigned"))
        self.run_json("verify", self.package, status=1)
        self.run_json("verify", self.package, "--allow-unsigned")
        document = self.run_json("install", self.package, "--allow-unsigned", "--db", self.other)
        self.assertIsNone(document["signer"])
        self.assertEqual(document["winners_added"], 2)

    def test_signers_are_accepted_by_name(self):
        fingerprint = self.make_signed()
        self.assert_not_installed("--allow-unsigned", status=1, says=(fingerprint,))
        self.assert_not_installed("--accept-signer", "0" * 32, status=1, says=(fingerprint,))
        self.assert_not_installed("--accept-signer", "all", status=2, says=("is no fingerprint",))
        self.run_json("install", self.package, "--accept-signer", fingerprint, "--db", self.other)

    def test_inspect_shows_whatever_it_is(self):
        fingerprint = self.make_signed()
        document = self.run_json("inspect", self.package)
        self.assertEqual((document["trusted"], document["signer"]["fingerprint"]), (False, fingerprint))
        self.assertEqual(document["manifest"]["format"], "lathe package")
        self.assertEqual([kernel["problem"] for kernel in document["manifest"]["kernels"]],
                         sorted(winner["key"]["problem"] for winner in self.records()[1]))
        out, err = self.start("inspect", self.package).communicate(timeout=PATIENCE_S)
        for part in (fingerprint, "not to be taken", "recipes.json", PROBLEM.split()[0], "schedule"):
            self.assertIn(part, out, err)

    def test_merge_and_export_know_packages(self):
        self.make_signed()
        self.assertEqual(self.run_json("export", self.package, status=1)["error"]["code"], "mismatch")
        trusted = self.trust_alice()
        exported = self.run_json("export", self.package, *trusted)
        self.assertEqual((exported["hosts"], exported["winners"], exported["trials"]), (*self.records(), []))
        document = self.run_json("merge", self.package, *trusted, "--db", self.other)
        self.assertEqual(document["winners_added"], 2)
        self.assertEqual(self.records(self.other), self.records())

    def test_records_are_chosen(self):
        self.assertEqual(self.pack("--family", "relu")["kernels"], 1)
        self.assertEqual(self.pack("--problem", PROBLEM)["kernels"], 1)
        self.assertEqual(self.pack("--threads", "1")["kernels"], 2)
        for arguments in (("--threads", "7"), ("--target", "none"), ("--problem", "gelu rows=1 width=8")):
            document = self.pack(*arguments, status=2)
            self.assertIn("no records to pack", document["error"]["message"])
        model = ("--model", self.path("model"), "--tokens", "1", "--image", "32x32")
        tuned = self.run_json(*model, "--family", "rms_norm", "--family", "linear", "--threads", "1", "--effort", "quick",
                              "--db", self.db)["kernels"]
        everything = self.pack()["kernels"]
        document = self.pack(*model)
        self.assertEqual(document["kernels"], everything - 2)  # without the two single problems
        packed = {kernel["problem"] for kernel in self.run_json("inspect", self.package)["manifest"]["kernels"]}
        self.assertLessEqual({kernel["problem"] for kernel in tuned}, packed)
        self.assertTrue(any(problem.startswith("weight ") for problem in packed), packed)

    def test_bad_input_is_told(self):
        self.make_signed()
        self.write("no.key", "x")
        os.chmod(self.path("no.key"), 0o600)
        for arguments, says in (
                (("pack", "-o", self.path("x"), "--db", self.path("none.db")), ("none.db",)),
                (("pack", "-o", self.path("x"), "--db", self.db, "--as", "code"), ("--as recipes",)),
                (("pack", "-o", self.path("x"), "--db", self.db, "--as", "cake"), ("expected recipes",)),
                (("pack", "-o", self.path("x"), "--db", self.db, "--family", "cake"), ("cake",)),
                (("pack", "-o", self.path("x"), "--db", self.db, "--sign", self.path("no.key")), ("secret key",)),
                (("pack", "-o", self.path("x"), "--db", self.db, "--sign", self.path("alice.pub")), ("chmod 600",)),
                (("pack", "-o", self.path("none/x"), "--db", self.db), ("none",)),
                (("pack", "--db", self.db), ("--out",)),
                (("keygen", "-o", self.path("alice")), ("is there already",)),
                (("verify", self.path("none.lathe")), ("none.lathe",)),
                (("verify", self.folder), ("expected a package",)),
                (("verify", self.package, "--trust", self.path("none")), ("none",)),
                (("inspect", self.db), ("no Lathe package",)),
                (("install", self.db), ("no Lathe package",)),
                (("export", self.db), ("no Lathe package",))):
            with self.subTest(arguments=arguments):
                self.assert_error(*arguments, says=says)
        self.assertFalse(os.path.exists(self.path("x")))
        os.chmod(self.path("alice.pub"), 0o600)
        self.assert_error("pack", "-o", self.path("x"), "--db", self.db, "--sign", self.path("alice.pub"),
                          says=("no secret key",))

    def test_changed_bytes(self):
        self.make_signed()
        trusted = self.trust_alice()
        data = self.read()
        choice = random.Random(5)
        for at in (0, len(data) - 1, *(choice.randrange(len(data)) for _ in range(20))):
            changed = bytearray(data)
            changed[at] ^= 1 << choice.randrange(8)
            self.forge(bytes(changed))
            self.assertEqual(self.exit_status("verify", self.package, *trusted), 1, at)
            self.assertIn(self.exit_status("install", self.package, *trusted, "--db", self.other), (1, 2), at)
            self.assertFalse(os.path.exists(self.other))

    def exit_status(self, *arguments):
        process = self.start(*arguments)
        process.communicate(timeout=PATIENCE_S)
        return process.returncode

    def test_packages_that_python_writes_are_read(self):
        hosts, winners = self.records()
        self.forge(package_files.package(hosts, winners))
        document = self.run_json("install", self.package, "--allow-unsigned", "--db", self.other)
        self.assertEqual(document["winners_added"], 2)
        self.assertEqual(self.records(self.other), (hosts, winners))

    def test_forgeries(self):
        self.make_signed()
        trusted = (*self.trust_alice(), "--allow-unsigned")
        entries = package_files.entries_of(self.read())
        manifest, signature, recipes = entries
        hosts, winners = self.records()
        other = [{**winner, "schedule": winner["schedule"][::-1]} for winner in winners]
        altered = manifest[1].replace(b'"confidence"', b'"Confidence"', 1)
        for name, forged in {
                "a manifest under another's signature": [("manifest.json", altered), signature, recipes],
                "another's members": [manifest, signature, ("recipes.json", json.dumps(
                    {"hosts": hosts, "winners": other}).encode())],
                "no members": [manifest, signature],
                "one more": [*entries, ("more", b"x")],
                "the same one twice": [*entries, recipes],
                "two manifests": [manifest, *entries],
                "above the folder": [manifest, signature, ("../recipes.json", recipes[1])],
                "an absolute name": [manifest, signature, ("/recipes.json", recipes[1])],
                "a backslash": [manifest, signature, ("..\\recipes.json", recipes[1])],
                "a name of directories": [manifest, signature, ("recipes.json/", b"")],
                "a bomb": [manifest, signature, ("recipes.json", bytes(64 << 20))],
                "a bomb for a manifest": [("manifest.json", bytes(64 << 20))],
                "a bomb for a signature": [manifest, ("manifest.sig", bytes(64 << 20)), recipes],
                "no manifest": [recipes],
                "nothing": []}.items():
            with self.subTest(name):
                self.forge(package_files.archive(forged))
                self.assertEqual(self.exit_status("verify", self.package, *trusted), 1)
                self.assertIn(self.exit_status("install", self.package, *trusted, "--db", self.other), (1, 2))
                self.assertFalse(os.path.exists(self.other))
        self.forge(package_files.archive(entries, zipfile.ZIP_LZMA))
        self.assert_not_installed(*trusted, status=2, says=("another method",))
        with zipfile.ZipFile(self.package, "w") as plain:
            for name, data in entries:
                plain.writestr(name, data)
        os.chmod(self.package, 0o644)
        self.assert_not_installed(*trusted, status=2, says=("seal",))

    def test_files_of_others(self):
        self.make_signed()
        trusted = self.trust_alice()
        os.chmod(self.package, 0o666)
        self.assert_not_installed_package(trusted, "chmod go-w")
        os.chmod(self.package, 0o644)
        os.chmod(self.path("trust/alice.pub"), 0o666)
        self.assert_not_installed_package(trusted, "alice.pub")
        os.chmod(self.path("trust/alice.pub"), 0o644)
        os.chmod(self.path("trust"), 0o777)
        self.assert_not_installed_package(trusted, "--trust")
        os.chmod(self.path("trust"), 0o755)
        if os.geteuid() != 0:
            self.skipTest("only root may give files away")
        for name in ("p.lathe", "trust/alice.pub", "trust"):
            with self.subTest(name):
                os.chown(self.path(name), 12345, -1)
                self.assert_not_installed_package(trusted, "belongs to user 12345")
                os.chown(self.path(name), 0, -1)
        self.run_json("install", self.package, *trusted, "--db", self.other)

    def assert_not_installed_package(self, trusted, says):
        self.assert_not_installed(*trusted, status=2, says=(says,))

    def test_another_machine(self):
        hosts, winners = self.records()
        for winner in winners:
            winner["key"]["target"] = "llvm:no-such-machine"
        self.forge(package_files.package(hosts, winners))
        install = ("install", self.package, "--allow-unsigned", "--db", self.other)
        document = self.run_json(*install, status=1)
        self.assertEqual((document["winners_added"], document["unused"]), (2, 2), "kept, for others of this store")
        self.assertIn("llvm:no-such-machine", document["records"][0]["unused_because"])
        process = self.start(*install)
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 1)
        self.assertIn("2 of no use here: is for the target", out)
        self.assertIn("nothing in", err)
        out, _ = self.start("doctor", "--json", "--db", self.other).communicate(timeout=PATIENCE_S)
        isa = json.loads(out)["host"]["isa"].split("+")
        missing = [name for name in package_files.NEEDS["avx512"].split("+") if name not in isa]
        if not missing:
            self.skipTest("this CPU has every extension that a target needs")
        for winner in winners:
            winner["key"]["target"] = "avx512"
        self.forge(package_files.package(hosts, winners))
        document = self.run_json(*install, status=1)
        self.assertIn("needs " + "+".join(missing), document["records"][0]["unused_because"])

    def test_members_of_a_newer_lathe_are_left_out(self):
        self.forge(package_files.package(*self.records(), kind="artifact"))
        install = ("install", self.package, "--allow-unsigned", "--db", self.other)
        document = self.run_json(*install, status=1)
        self.assertEqual(document["records"], [])
        self.assertIn("artifact", document["left_out"][0]["why"])

    def test_a_kill_leaves_a_sound_store(self):
        self.make_signed()
        trusted = self.trust_alice()
        install = ("install", self.package, *trusted, "--db", self.other)
        start = time.monotonic()
        self.run_json(*install)
        takes = time.monotonic() - start
        before = self.run_json("export", "--db", self.other)
        for moment in range(1, 9):
            os.remove(self.other)
            process = self.start(*install)
            time.sleep(takes * moment / 8)
            process.kill()
            process.communicate(timeout=PATIENCE_S)
            self.assertIn(process.returncode, (0, -signal.SIGKILL))
            self.assertIn(self.winners_found(), (None, 0, 2), moment)
            self.run_json(*install)
            self.assertEqual(self.run_json("export", "--db", self.other), before)

    def winners_found(self):
        """How many the other store has; None where it is empty, or not there yet."""
        process = self.start("--json", "export", "--db", self.other)
        out, err = process.communicate(timeout=PATIENCE_S)
        document = json.loads(out)
        if process.returncode == 2 and document["error"]["code"] == "not_found":
            return None
        self.assertEqual(process.returncode, 0, out + err)
        return len(document["winners"])

    def test_full_disks(self):
        self.make_signed()
        trusted = self.trust_alice()
        data = self.read()

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
        names = sorted(os.listdir(self.folder))
        self.pack(status=2, before=limit)
        self.assertEqual(self.read(), data, "the package of before is as it was")
        self.run_json("pack", "-o", self.path("q.lathe"), "--db", self.db, status=2, before=limit)
        self.run_json("keygen", "-o", self.path("k"), status=2, before=limit)
        self.assertEqual(sorted(os.listdir(self.folder)), names, "nothing is left")
        document = self.run_json("install", self.package, *trusted, "--db", self.other, status=2, before=limit)
        self.assertEqual(document["error"]["code"], "io_error")
        self.run_json("install", self.package, *trusted, "--db", self.other)
        self.assertEqual(self.records(self.other), self.records())

    def test_places_that_cannot_be_written(self):
        self.make_signed()
        trusted = self.trust_alice()
        with tempfile.TemporaryDirectory() as closed:
            os.chmod(closed, 0o555)
            if os.access(closed, os.W_OK):
                self.skipTest("this user may write anywhere")
            for arguments in (("install", self.package, *trusted, "--db", os.path.join(closed, "s.db")),
                              ("pack", "-o", os.path.join(closed, "p.lathe"), "--db", self.db),
                              ("keygen", "-o", os.path.join(closed, "k"))):
                self.assert_error(*arguments, says=(closed,))
            self.assertEqual(os.listdir(closed), [])
            os.chmod(closed, 0o755)


if __name__ == "__main__":
    unittest.main()
