"""Errors that a user can act on: a stable code, and what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ServiceError(Exception):
    """Any refusal of the service.

    `code` is stable for programs; `http_status` is what the API answers with.
    """

    code = "error"
    http_status = 500


class ScanError(ServiceError, ValueError):
    """The scan folder cannot be read as a plate."""

    code = "scan_unreadable"
    http_status = 422


class ImageError(ServiceError, ValueError):
    """One image is missing, damaged or not what its metadata says.

    Fails its well, never the plate.
    """

    code = "image_unreadable"
    http_status = 422


class ProtocolError(ServiceError, ValueError):
    """The protocol file is wrong or does not fit the scan."""

    code = "protocol_invalid"
    http_status = 422


class PlateMapRefused(ServiceError, ValueError):
    """The plate map is wrong or does not fit the scan."""

    code = "plate_map_invalid"
    http_status = 422


class EngineError(ServiceError, RuntimeError):
    """The segmentation engine cannot be used here."""

    code = "engine_unavailable"
    http_status = 422


class AnnotationError(ServiceError, ValueError):
    """A folder of annotated images is not laid out as the benchmark needs it."""

    code = "annotations_unreadable"
    http_status = 422


class ModelRefused(ServiceError, ValueError):
    """A model's folder, the fields it is to learn from, or its promotion is refused."""

    code = "model_refused"
    http_status = 422


class RegistryRefused(ServiceError, ValueError):
    """The line registry's file is wrong."""

    code = "registry_invalid"
    http_status = 422


class ScreenError(ServiceError, ValueError):
    """A screen's folder, settings or registry, or a run that is to join it, cannot be used."""

    code = "screen_invalid"
    http_status = 422


class ReleaseRefused(ServiceError, ValueError):
    """A release that consent, protection of people, the ledger or a secret in a file forbids."""

    code = "release_refused"
    http_status = 422


class SummaryRefused(ServiceError, ValueError):
    """A site's summary that is forged, altered, or cannot be pooled with the others."""

    code = "summary_refused"
    http_status = 422


class StoreError(ServiceError, RuntimeError):
    """A store is incomplete, damaged, or belongs to another run."""

    code = "store_damaged"
    http_status = 500


class MachineError(ServiceError, RuntimeError):
    """The machine failed, not the data: another attempt may succeed."""

    code = "machine_failed"
    http_status = 503


class Unavailable(MachineError):
    """The scan, the disk or the database is away or full: it may come back, so waiting helps."""

    code = "machine_unavailable"


class Cancelled(ServiceError, RuntimeError):
    """The run was cancelled while its well was being analysed."""

    code = "cancelled"
    http_status = 409


class NotFound(ServiceError, KeyError):
    """No such plate, run, well or row."""

    code = "not_found"
    http_status = 404

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "not found"


class Forbidden(ServiceError, PermissionError):
    """A path outside the roots, a role that is missing, or an address that must not be bound."""

    code = "forbidden"
    http_status = 403


class Unauthorized(ServiceError, PermissionError):
    """A request without a key, or with one that is wrong, expired or revoked."""

    code = "unauthorized"
    http_status = 401


class SettingsRefused(ServiceError, ValueError):
    """An environment variable of the service has a value that it cannot have."""

    code = "settings_invalid"


class AccessRefused(ServiceError, ValueError):
    """A laboratory, member, project or key that cannot be made or changed as asked."""

    code = "access_invalid"
    http_status = 422


class ReviewConflict(ServiceError, RuntimeError):
    """A correction of labels that another reviewer has changed in the meantime."""

    code = "review_conflict"
    http_status = 412


class ReviewRefused(ServiceError, ValueError):
    """A correction that cannot be applied: not an .npz, outside the field, of unknown labels."""

    code = "review_invalid"
    http_status = 422


class PreconditionRequired(ServiceError, ValueError):
    """A correction that does not say which version it corrects."""

    code = "precondition_required"
    http_status = 428


class TooLarge(ServiceError, ValueError):
    """What was sent is too large, or takes too long or too much memory to be read."""

    code = "too_large"
    http_status = 413


class Busy(ServiceError, RuntimeError):
    """The service has no place for the request now; the same request may succeed later."""

    code = "busy"
    http_status = 503


class SelectionRefused(ServiceError, ValueError):
    """Rows are asked for by a condition, column or page that the table does not have."""

    code = "selection_invalid"
    http_status = 422


class Outdated(ServiceError, RuntimeError):
    """A table changed between two of its pages."""

    code = "outdated"
    http_status = 409


class UploadRefused(ServiceError, ValueError):
    """An upload whose names, sizes or contents are wrong."""

    code = "upload_invalid"
    http_status = 422


class UploadIncomplete(ServiceError, RuntimeError):
    """A file of the upload has not arrived, or not wholly; going on with the upload helps."""

    code = "upload_incomplete"
    http_status = 409


class NoSpace(ServiceError, RuntimeError):
    """The service's disk cannot hold what is announced."""

    code = "no_space"
    http_status = 507


class BackupError(ServiceError, RuntimeError):
    """A backup that cannot be made, is not whole, or cannot be restored here."""

    code = "backup_failed"
    http_status = 500


class QuotaReached(ServiceError, RuntimeError):
    """A laboratory uses as much as it may: runs in the queue, exports, or bytes of uploads."""

    code = "quota_reached"
    http_status = 429


class NotReady(ServiceError, RuntimeError):
    """The table does not exist yet: the run is not finished, or it failed."""

    code = "not_ready"
    http_status = 409


@contextmanager
def damaged(raises: type[ServiceError], where: str) -> Iterator[None]:
    """Turn any error of a library on damaged bytes into one: "WHERE: cannot be read (…)".

    On broken or hostile bytes readers raise anything from struct.error to a codec's own, so
    every exception is caught: here, and in no reader. Errors of the machine (OSError, MemoryError)
    pass unchanged: the file is not at fault, and another attempt may succeed. A missing file is a
    fault of the plate.
    """
    try:
        yield
    except (ServiceError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise raises(f"{where}: there is no such file or array") from error
    except OSError as error:
        if error.errno is None:
            # Not the machine's: libraries raise it in their own name, gzip for damaged bytes.
            raise raises(f"{where}: cannot be read ({type(error).__name__}: {error})") from error
        raise
    except Exception as error:
        # Readers of damaged files raise what they like (struct, zlib, tifffile, zarr): whatever it
        # is, the file cannot be read, and the cause stays attached.
        raise raises(f"{where}: cannot be read ({type(error).__name__}: {error})") from error
