package lib.pods

# Kinds that hold a pod's template; the Pod itself decides, these are told earlier.
templated := {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"}

# What goes can no longer be mended: its finalizers must come off whatever it looks like.
leaving(review) if {
  review.operation == "UPDATE"
  review.object.metadata.deletionTimestamp
}

pod(review) := review.object if {
  review.object.kind == "Pod"
  not leaving(review)
}

pod(review) := review.object.spec.template if {
  review.object.kind in templated
  not leaving(review)
}

pod(review) := review.object.spec.jobTemplate.spec.template if {
  review.object.kind == "CronJob"
  not leaving(review)
}

spec(review) := pod(review).spec

labels(review) := object.get(pod(review), ["metadata", "labels"], {})

annotations(review) := object.get(pod(review), ["metadata", "annotations"], {})

lists := {"container": "containers", "init container": "initContainers", "ephemeral container": "ephemeralContainers"}

# Every container of whatever list, with what to call it in a message.
containers(review) := [{"what": what, "list": list, "spec": container} |
  some word, list in lists
  some container in object.get(spec(review), list, [])
  what := sprintf("%s %q", [word, container.name])
]

# Containers that a tenant wrote: the mesh puts its own ones in before policies look, made of one image and no other.
own(review, mesh) := [container |
  some container in containers(review)
  not injected(container.spec, mesh)
]

injected(container, mesh) if {
  container.name in {"linkerd-proxy", "linkerd-network-validator"}
  some image in mesh
  startswith(container.image, concat("", [image, ":"]))
}

# Of the container, or else of its pod.
setting(review, container, path) := object.get(
  container,
  array.concat(["securityContext"], path),
  object.get(spec(review), array.concat(["securityContext"], path), null),
)

# Temporary storage that is a claim.
claims(review) := [volume.ephemeral.volumeClaimTemplate |
  some volume in object.get(spec(review), "volumes", [])
  volume.ephemeral.volumeClaimTemplate
]
