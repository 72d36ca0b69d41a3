//! Deutsch, mit Sie.

use super::texts::{Around, Notice, Texts, Told};
use crate::web::construct::Construct;

const AGAIN: &str = "Bitte melden Sie sich erneut an.";
const LATER: &str =
    "Bitte versuchen Sie es in einer Minute erneut. Wenn es dabei bleibt, wenden Sie sich an die Betreiber dieser Anwendung.";
const AGAIN_OR_TELL: &str =
    "Bitte versuchen Sie es erneut. Wenn es wieder geschieht, nennen Sie den Betreibern dieser Anwendung die Referenznummer.";
const OPERATOR: &str = "Bitte wenden Sie sich an die Betreiber dieser Anwendung, und nennen Sie die Referenznummer.";
const BACK: &str = "Gehen Sie zurück zur Anwendung.";
const NOT_LOGGED_IN: &str = "Sie wurden nicht angemeldet";
const FAILED: &str = "Die Anmeldung ist fehlgeschlagen";
const NOT_AVAILABLE: &str = "Die Anmeldung ist zurzeit nicht möglich";
const NOT_HERE: &str = "Das ist hier nicht möglich";

pub(super) const TEXTS: Texts = Texts {
    log_in: "Anmelden",
    log_in_with: Around("Mit ", " anmelden"),
    log_in_for: Around("Für ", " anmelden"),
    try_again: "Erneut versuchen",
    try_again_for: Around("Für ", " erneut versuchen"),
    use_another_account: "Anderes Konto verwenden",
    log_out: "Abmelden",
    log_out_here: "Nur hier abmelden",
    log_out_everywhere: "Überall abmelden",
    back_to_the_application: "Zurück zur Anwendung",

    choose: "Wählen Sie, wie Sie sich anmelden möchten.",
    on_the_way: "Sie werden zur Anmeldung weitergeleitet.",
    last_used: "Zuletzt verwendet",
    logged_out: Notice { title: "Sie sind abgemeldet", text: "Sie können diese Seite schließen oder sich erneut anmelden." },
    address_too_long: Notice {
        title: "Sie sind angemeldet",
        text: "Die Adresse, von der Sie kamen, ist zu lang, um während der Anmeldung gemerkt zu werden. Öffnen Sie sie noch einmal.",
    },
    everywhere: Notice {
        title: "Überall abmelden?",
        text: "Alle Sitzungen Ihres Kontos in dieser Anwendung enden, in allen Browsern und auf allen Geräten.",
    },
    session_ended: "Ihre Sitzung ist beendet. Laden Sie die Seite neu, um sich wieder anzumelden.",
    reference_number: "Referenznummer:",
    request_id: "Anfrage-ID:",

    malformed: Told {
        title: "Diese Anfrage ist nicht lesbar",
        happened: "Die Adresse oder ein Header der Anfrage ist fehlerhaft.",
        advice: "Prüfen Sie die Adresse, oder gehen Sie zurück zur Anwendung.",
    },
    malformed_by: Around("Nicht eindeutig ist: ", "."),
    construct,
    method_not_allowed: Told {
        title: NOT_HERE,
        happened: "Diese Seite kann aufgerufen werden, aber es kann nichts an sie gesendet werden.",
        advice: BACK,
    },
    not_visited: Told {
        title: NOT_HERE,
        happened: "Diese Adresse ist für den Aufruf aus dieser Anwendung bestimmt, nicht für den Abruf durch eine andere Seite.",
        advice: BACK,
    },
    login_required: Told {
        title: "Bitte melden Sie sich an",
        happened: "Sie sind nicht angemeldet, oder Ihre Anmeldung ist abgelaufen. Was Sie gesendet haben, wurde nicht weitergeleitet.",
        advice: "Melden Sie sich an, und wiederholen Sie dann den Vorgang.",
    },
    not_a_page: Told { title: "Hier ist nichts", happened: "Unter dieser Adresse gibt es keine Seite.", advice: BACK },
    account_denied: Notice {
        title: "Dieses Konto hat keinen Zugriff",
        text: "Verwenden Sie ein anderes Konto, oder bitten Sie die Betreiber dieser Anwendung um Zugriff.",
    },
    denied_as: Around("Sie sind als ", " angemeldet, und dieses Konto darf diese Seite nicht sehen."),
    everybody_denied: Told { title: "Kein Zugriff", happened: "Diese Seite ist für alle gesperrt.", advice: BACK },
    unknown_provider: Told {
        title: "Diese Anmeldung gibt es nicht",
        happened: "Der Link nennt eine Art der Anmeldung, die diese Anwendung nicht hat.",
        advice: AGAIN,
    },
    login_initiation: Told {
        title: "Diese Anmeldung kann nicht beginnen",
        happened: "Die Website, von der Sie kommen, hat nicht oder nicht in der nötigen Form angegeben, welche Anmeldung gemeint ist.",
        advice: AGAIN,
    },
    another_issuer: Told {
        title: "Diese Anmeldung wurde abgebrochen",
        happened: "Die Antwort kam von einem anderen Anbieter als dem, zu dem Sie geleitet wurden. Niemand wurde angemeldet.",
        advice: "Bitte melden Sie sich erneut an. Wenn es wieder geschieht, nennen Sie den Betreibern dieser Anwendung die Referenznummer.",
    },
    not_an_answer: Told {
        title: FAILED,
        happened: "Was vom Anbieter zurückkam, ist keine Antwort auf eine Anmeldung. Sie wurden daher nicht angemeldet.",
        advice: AGAIN_OR_TELL,
    },
    unknown_state: Told {
        title: "Diese Anmeldung kann nicht abgeschlossen werden",
        happened: "Sie wurde nicht in diesem Browser begonnen, wurde bereits verwendet oder hat zu lange gedauert.",
        advice: AGAIN,
    },
    attempt_used: Told {
        title: "Diese Anmeldung wurde bereits verwendet",
        happened: "Dieselbe Anmeldung ist schon einmal hier angekommen, von diesem Browser oder einer Kopie. Vielleicht sind Sie bereits angemeldet.",
        advice: AGAIN,
    },
    login_ended: Told {
        title: "Diese Anmeldung wurde beendet",
        happened: "Ihr Konto wurde überall abgemeldet, während Sie sich angemeldet haben oder kurz davor.",
        advice: AGAIN,
    },
    cancelled: Told {
        title: NOT_LOGGED_IN,
        happened: "Die Anmeldung wurde abgebrochen, oder der Anbieter hat dieser Anwendung keinen Zugriff auf Ihr Konto gegeben.",
        advice: "Sie können es erneut versuchen oder ein anderes Konto wählen.",
    },
    consent_required: Told {
        title: NOT_LOGGED_IN,
        happened: "Der Anbieter braucht Ihre Zustimmung, um dieser Anwendung mitzuteilen, wer Sie sind, und hat sie nicht erhalten.",
        advice: "Melden Sie sich erneut an, und stimmen Sie zu, oder bitten Sie die Betreiber dieser Anwendung, für alle zustimmen zu lassen.",
    },
    provider_login_required: Told {
        title: NOT_LOGGED_IN,
        happened: "Sie sind beim Anbieter zurzeit nicht angemeldet, und er hat nicht nach einer Anmeldung gefragt.",
        advice: AGAIN,
    },
    interaction_required: Told {
        title: NOT_LOGGED_IN,
        happened: "Der Anbieter braucht noch etwas von Ihnen, etwa einen zweiten Faktor oder die Wahl eines Kontos.",
        advice: "Melden Sie sich erneut an, und folgen Sie den Seiten des Anbieters bis zum Ende.",
    },
    provider_in_trouble: Told {
        title: NOT_AVAILABLE,
        happened: "Der Anbieter, der Anmeldungen prüft, hat zurzeit eine Störung.",
        advice: LATER,
    },
    provider_refused: Told { title: FAILED, happened: "Der Anbieter konnte Sie nicht anmelden.", advice: AGAIN_OR_TELL },
    provider_unreachable: Told {
        title: NOT_AVAILABLE,
        happened: "Der Anbieter, der Anmeldungen prüft, ist nicht erreichbar.",
        advice: LATER,
    },
    answer_unacceptable: Told {
        title: FAILED,
        happened: "Die Antwort des Anbieters konnte nicht angenommen werden. Sie wurden daher nicht angemeldet.",
        advice: AGAIN_OR_TELL,
    },
    session_too_large: Told {
        title: "Die Anmeldung ist zu groß",
        happened: "Der Anbieter teilt mehr über Sie mit, als ein Browser speichern kann (oft eine sehr lange Liste von Gruppen).",
        advice: OPERATOR,
    },
    not_set_up: Told {
        title: "Die Anmeldung ist nicht eingerichtet",
        happened: "Für die Anmeldung dieser Anwendung gibt es keine gültige Konfiguration.",
        advice: OPERATOR,
    },
    not_remembered: Told {
        title: NOT_HERE,
        happened: "Diese Installation merkt sich nicht, welche Sitzungen beendet sind. Sie kann nur die Sitzung in diesem Browser beenden.",
        advice: "Melden Sie sich hier und in jedem anderen Browser ab.",
    },
    not_refreshable: Told {
        title: "Die Sitzung kann nicht erneuert werden",
        happened: "Der Anbieter hat für diese Sitzung kein Refresh-Token ausgestellt, oder er nimmt es nicht mehr an.",
        advice: "Melden Sie sich erneut an.",
    },
    refreshed_too_soon: Told {
        title: "Die Sitzung ist aktuell",
        happened: "Der Anbieter hat vor weniger als einer Minute geantwortet.",
        advice: "Warten Sie eine Minute und versuchen Sie es dann erneut.",
    },

    filter_failed: Notice {
        title: "Etwas ist schiefgegangen",
        text: "Über diese Anfrage konnte nicht entschieden werden. Sie wurde daher nicht weitergeleitet.",
    },
    overloaded: Notice {
        title: "Zu viel Betrieb",
        text: "Es gibt mehr Anfragen, als zurzeit beantwortet werden können. Bitte versuchen Sie es gleich noch einmal.",
    },
    store_unreachable: Notice {
        title: "Bitte gleich noch einmal",
        text: "Zurzeit lässt sich nicht prüfen, ob Ihre Sitzung noch gültig ist. Bitte versuchen Sie es in einer Minute noch einmal.",
    },
    upstream_unreachable: Notice {
        title: "Die Anwendung ist nicht verfügbar",
        text: "Sie ist zurzeit nicht erreichbar. Bitte versuchen Sie es in einer Minute erneut.",
    },
    upstream_timed_out: Notice {
        title: "Die Anwendung antwortet nicht",
        text: "Es hat zu lange gedauert. Bitte versuchen Sie es in einer Minute erneut.",
    },
    too_many_logins: Notice {
        title: "Zu viele Anmeldungen",
        text: "Aus Ihrem Netz kamen mehr Anmeldungen, als in einer Minute erlaubt sind. Es ist nichts verloren: \
               Bitte versuchen Sie es gleich noch einmal.",
    },
    body_too_large: Notice { title: "Es wurde zu viel gesendet", text: "Was gesendet wurde, ist größer, als hier angenommen wird." },
    body_too_slow: Notice {
        title: "Die Anfrage hat zu lange gedauert", text: "Was gesendet wurde, kam nicht rechtzeitig vollständig an."
    },
    too_many_requests: Notice {
        title: "Zu viele Anfragen",
        text: "Aus Ihrem Netz kommen mehr Anfragen zugleich, als erlaubt sind. Bitte versuchen Sie es gleich noch einmal.",
    },
};

fn construct(construct: Construct) -> &'static str {
    match construct {
        Construct::EmptySegment => "ein leerer Abschnitt der Adresse (//)",
        Construct::DotSegment => "ein . oder .. in der Adresse, oder ein Abschnitt, der so gelesen werden kann",
        Construct::BrokenEscape => "ein % ohne zwei Hexadezimalziffern",
        Construct::ControlCharacter => "ein codiertes Steuerzeichen (%00 bis %1F, %7F)",
        Construct::EscapedTwice => "ein doppelt codiertes Zeichen (%2561)",
        Construct::NotUtf8 => "Bytes, die kein UTF-8 sind",
        Construct::EncodedSeparator => "ein codierter Schrägstrich oder Backslash (%2F, %5C)",
        Construct::Parameter => "ein ; oder & in der Adresse",
        Construct::EncodedEnd => "ein codiertes ? oder # (%3F, %23)",
        Construct::SegmentEnd => {
            "ein Punkt, Doppelpunkt oder Leerzeichen am Ende eines Abschnitts der Adresse oder ein Leerzeichen an dessen Anfang"
        }
        Construct::Plus => "ein + in der Adresse",
        Construct::SessionSegment => "eine Sitzung in der Adresse ((S(x)))",
        Construct::LetterCase => "die Groß- und Kleinschreibung in der Adresse",
        Construct::Characters => "Sonderzeichen in der Adresse, die für andere gehalten werden können",
        Construct::TooLong => "die Adresse, denn sie ist zu lang oder lässt sich auf zu viele Arten lesen",
        Construct::MethodCase => "die Methode, denn sie steht in Kleinbuchstaben",
        Construct::MethodOverride => "ein Header, der eine andere Methode nennt, zum Beispiel X-HTTP-Method-Override",
        Construct::Host => "der Host (der Header Host), denn er fehlt, steht zweimal da oder hat nicht die richtige Form",
        Construct::Target => "die Adresse, denn sie ist zu lang oder enthält #, \\ oder ein Zeichen, das codiert werden muss",
    }
}
