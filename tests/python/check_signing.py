"""Signatures against the reference implementation of OpenSSF Model Signing, both ways.

    pip install model-signing pyopenssl cryptography
    python tests/python/check_signing.py target/release/weightsmith

For keys of P-256 and P-384, and for a folder and a single file: what `weightsmith sign` signs, the reference
implementation verifies, and the reverse; also where it signs files in pieces. Both refuse a flipped bit, a renamed, an
added and a missing file, and another key.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import model_signing
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

PROGRAM = Path(sys.argv[1]).resolve()


def write_keys(folder, curve):
    """A private and a public key in PEM."""
    key = ec.generate_private_key(curve)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    paths = folder / "key.pem", folder / "pub.pem"
    for path, text in zip(paths, (private, public)):
        path.write_bytes(text)
    return paths


def write_model(folder):
    """Files in the order of whose names the two programs might not agree, and one that neither signs."""
    for name in ("weights.bin", "a/b.bin", "a.b", "a/empty", ".gitignore"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "a/empty" else name.encode() * 100)
    return folder


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)


def we_sign(model, key, signature):
    done = run("sign", model, "--key", key, "--out", signature, "--force")
    assert done.returncode == 0, done.stderr


def we_verify(model, key, signature):
    done = run("verify", model, "--key", key, "--signature", signature)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0


def they_sign(model, key, signature, shard=None):
    hashing = model_signing.hashing.Config()
    if shard:
        hashing.use_shard_serialization(shard_size=shard)
    hashing.set_ignored_paths(paths=[signature])
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=key)
    config.set_hashing_config(hashing).sign(model, signature)


def they_verify(model, key, signature):
    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=key)
    try:
        config.verify(model, signature)
    except Exception:
        return False
    return True


def changes(model):
    """Each change of a model, by its name, made and undone."""
    weights, more, moved = model / "weights.bin", model / "a/more.bin", model / "a/moved.bin"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:7] + bytes([whole[7] ^ 1]) + whole[8:])
    yield "a flipped bit"
    weights.write_bytes(whole)
    weights.rename(moved)
    yield "a renamed file"
    moved.rename(weights)
    more.write_bytes(b"more")
    yield "an added file"
    more.unlink()
    weights.unlink()
    yield "a missing file"
    weights.write_bytes(whole)


def main():
    failed = 0

    def check(holds, what):
        nonlocal failed
        failed += not holds
        print("ok  " if holds else "FAIL", what)

    for curve in (ec.SECP256R1(), ec.SECP384R1()):
        with tempfile.TemporaryDirectory() as place:
            place = Path(place)
            key, public = write_keys(place, curve)
            (place / "other").mkdir()
            _, other = write_keys(place / "other", curve)
            model = write_model(place / "model")
            signers = {
                "we": we_sign,
                "they": they_sign,
                "they, in pieces,": lambda *them: they_sign(*them, shard=150),
            }
            for who, sign in signers.items():
                for what in (model, model / "weights.bin"):
                    named = f"{curve.name}: {who} sign a {'folder' if what.is_dir() else 'file'}"
                    signature = place / f"{who[:3]}-{what.name}.sig"
                    sign(what, key, signature)
                    # The specification names a single file, the reference implementation does not; and it
                    # does not read the size of pieces that it writes.
                    if "pieces" not in who and (what.is_dir() or who != "we"):
                        check(they_verify(what, public, signature), f"{named}, they verify")
                    check(we_verify(what, public, signature), f"{named}, we verify")
                    check(not we_verify(what, other, signature), f"{named}, another key")
                signature = model / "model.sig"
                sign(model, key, signature)
                for change in changes(model):
                    verified = we_verify(model, public, signature), they_verify(model, public, signature)
                    check(not any(verified), f"{curve.name}: {who} sign, {change}")
                check(we_verify(model, public, signature), f"{curve.name}: {who} sign, all undone")
                signature.unlink()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
