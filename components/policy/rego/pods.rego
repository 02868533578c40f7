package lib.pods

# Kinds that hold a pod's template; the Pod itself decides, these are told earlier.
templated := {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"}

# What goes can no longer be mended: its finalizers must come off whatever it looks like. As long as one holds it, it goes on
# running: what it is does not change on its way.
leaving(review) if {
  review.operation == "UPDATE"
  review.object.metadata.deletionTimestamp
  review.object.spec == review.oldObject.spec
  every field in ["labels", "annotations"] {
    object.get(review.object.metadata, field, {}) == object.get(review.oldObject.metadata, field, {})
  }
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
  what := sprintf("%s %q", [word, object.get(container, "name", "")])
]

# Containers that a tenant wrote: the mesh puts its own ones in before policies look, made of one image and no other, and
# never into what runs already.
own(review, mesh) := [container |
  some container in containers(review)
  not injected(container, mesh)
]

injected(container, mesh) if {
  container.list != "ephemeralContainers"
  container.spec.name in {"linkerd-proxy", "linkerd-network-validator"}
  some image in mesh
  [image, tag] = split(container.spec.image, ":")
  regex.match(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`, tag)
}

# What a pod says for all of its containers.
shared(review) := {"securityContext": object.get(spec(review), "securityContext", {})}

# Of the container, or else of what is shared. Not of the review: the engine compares what a function is given with what it was
# given before, and a large review for each container takes longer than the API server waits.
setting(shared, container, path) := object.get(
  container,
  array.concat(["securityContext"], path),
  object.get(shared, array.concat(["securityContext"], path), null),
)

# Temporary storage that is a claim.
claims(review) := [volume.ephemeral.volumeClaimTemplate |
  some volume in object.get(spec(review), "volumes", [])
  volume.ephemeral.volumeClaimTemplate
]
