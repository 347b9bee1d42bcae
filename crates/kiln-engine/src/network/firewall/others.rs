//! Other firewalls of this machine that stand in builds' way.
//!
//! Docker (20.10) sets the policy of the FORWARD chain to DROP and leaves the chain DOCKER-USER for rules of others;
//! Kiln adds its own there. Any other firewall belongs to the operator, who is told what to add.

use std::process::{Command, Stdio};

use super::nft;
use crate::network::{link::PREFIX, netlink::Socket};

const DOCKER_USER: &str = "DOCKER-USER";
const LEGACY: &str = "iptables-legacy";

/// Makes Docker's chain let builds' packets pass. The answer is a sentence for the log if packets of builds will not
/// pass.
pub(crate) fn accept_builds(socket: &mut Socket) -> Option<String> {
    let tool = if drops_forwarded(socket) {
        if has_our_rules(socket) {
            return None;
        }
        "iptables"
    } else if legacy_filter_in_use() {
        // Rules of the older kernel interface can only be read by its tool.
        LEGACY
    } else {
        return None;
    };
    match Rules::read(tool) {
        Ok(rules) if !rules.drops => None,
        Ok(rules) if !rules.docker => Some(format!(
            "this machine's firewall drops forwarded packets, so this build reaches no network; to let builds out: {}",
            commands(tool)
        )),
        Ok(rules) => rules.add_ours(tool).err(),
        Err(why) => Some(format!(
            "this machine's firewall may drop forwarded packets, and kiln cannot tell ({why}): builds may reach no \
             network"
        )),
    }
}

/// Whether the FORWARD chain that iptables keeps in nf_tables drops what no rule accepts.
fn drops_forwarded(socket: &mut Socket) -> bool {
    socket
        .query(&nft::get_chain(nft::IPV4, "filter", "FORWARD"))
        .is_ok_and(|answers| answers.iter().filter_map(|body| nft::chain_info(body)).any(|chain| chain.drops))
}

/// Whether DOCKER-USER names our interfaces, coming in and going out.
fn has_our_rules(socket: &mut Socket) -> bool {
    socket.query(&nft::get_rules(nft::IPV4, "filter", DOCKER_USER)).is_ok_and(|rules| {
        let ours = |rule: &Vec<u8>| rule.windows(PREFIX.len()).any(|part| part == PREFIX.as_bytes());
        rules.iter().filter(|rule| ours(rule)).count() >= 2
    })
}

fn legacy_filter_in_use() -> bool {
    // Of the thread: /proc/net is of the process's first thread.
    std::fs::read_to_string("/proc/thread-self/net/ip_tables_names")
        .is_ok_and(|names| names.lines().any(|name| name == "filter"))
}

/// The two rules, as arguments after `-I`, `-A` or `-C`.
fn our_rules(chain: &str) -> [Vec<String>; 2] {
    let words = |text: String| text.split_ascii_whitespace().map(str::to_owned).collect();
    [
        words(format!("{chain} -i {PREFIX}+ -j ACCEPT")),
        words(format!("{chain} -o {PREFIX}+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")),
    ]
}

#[derive(Debug, PartialEq, Eq)]
struct Rules {
    drops: bool,
    docker: bool,
    ours: [bool; 2],
}

impl Rules {
    fn read(tool: &str) -> Result<Self, String> {
        run(tool, &["-w", "5", "-S"]).map(|text| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let has = |start: &str| text.lines().any(|line| line == start || line.starts_with(&format!("{start} ")));
        Self {
            drops: has("-P FORWARD DROP"),
            docker: has(&format!("-N {DOCKER_USER}")),
            ours: ["-i", "-o"].map(|way| has(&format!("-A {DOCKER_USER} {way} {PREFIX}+"))),
        }
    }

    fn add_ours(&self, tool: &str) -> Result<(), String> {
        for (rule, there) in our_rules(DOCKER_USER).iter().zip(self.ours) {
            if !there {
                let mut arguments = vec!["-w", "5", "-I"];
                arguments.extend(rule.iter().map(String::as_str));
                run(tool, &arguments).map_err(|why| {
                    format!("Docker drops forwarded packets on this machine, so this build reaches no network: {why}")
                })?;
            }
        }
        Ok(())
    }
}

fn run(tool: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(tool)
        .args(arguments)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{tool}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let error = String::from_utf8_lossy(&output.stderr);
        Err(format!("{tool} {}: {}", arguments.join(" "), error.lines().next().unwrap_or("failed")))
    }
}

/// Something of this machine that keeps builds from the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) found: String,
    pub(crate) fix: String,
}

/// The firewalls that drop forwarded packets, Docker's excepted, which [`accept_builds`] deals with. Changes nothing.
pub(crate) fn obstacles(socket: &mut Socket) -> Vec<Obstacle> {
    let chains: Vec<_> = socket
        .query(&nft::get_chains())
        .unwrap_or_default()
        .iter()
        .filter_map(|body| nft::chain_info(body))
        .filter(|chain| matches!(chain.family, nft::INET | nft::IPV4) && chain.table != super::TABLE)
        .collect();
    let docker = |table: &str| chains.iter().any(|chain| chain.table == table && chain.name == DOCKER_USER);
    let mut obstacles: Vec<_> = chains
        .iter()
        .filter(|chain| chain.hook == Some(nft::Hook::Forward as u32))
        .filter_map(|chain| {
            // It lets interfaces of no zone forward nothing, by rules and not by a policy.
            if chain.table == "firewalld" {
                return Some(Obstacle {
                    found: "firewalld refuses what builds' interfaces forward".to_owned(),
                    fix: format!(
                        "`firewall-cmd --permanent --zone=trusted --add-interface={PREFIX}+ && firewall-cmd --reload` \
                         (kiln's own rules still hold)"
                    ),
                });
            }
            (chain.drops && !docker(&chain.table)).then(|| Obstacle {
                found: format!("the firewall chain `{} {}` drops forwarded packets", chain.table, chain.name),
                fix: if (chain.table.as_str(), chain.name.as_str()) == ("filter", "FORWARD") {
                    commands("iptables")
                } else {
                    format!("let it accept packets from and to interfaces {PREFIX}*")
                },
            })
        })
        .collect();
    if legacy_filter_in_use() && Rules::read(LEGACY).is_ok_and(|rules| rules.drops && !rules.docker) {
        obstacles.push(Obstacle {
            found: "the firewall chain FORWARD of iptables-legacy drops forwarded packets".to_owned(),
            fix: commands(LEGACY),
        });
    }
    obstacles
}

/// The commands that let builds' packets pass the chain FORWARD.
fn commands(tool: &str) -> String {
    our_rules("FORWARD").map(|rule| format!("`{tool} -I {}`", rule.join(" "))).join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_docker_are_understood() {
        let text = "-P INPUT ACCEPT\n-P FORWARD DROP\n-N DOCKER\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n\
                    -A DOCKER-USER -i kiln1-+ -j ACCEPT\n-A DOCKER-USER -j RETURN\n";
        assert_eq!(Rules::parse(text), Rules { drops: true, docker: true, ours: [true, false] });
        let text = "-P FORWARD ACCEPT\n-N DOCKER-USERS\n-A DOCKER-USER -o kiln1-+x -j ACCEPT\n";
        assert_eq!(Rules::parse(text), Rules { drops: false, docker: false, ours: [false, false] });
    }
}
